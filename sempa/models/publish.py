"""Upload a finished adapter to the hub."""

from pathlib import Path

from sempa.errors import InputError, ModelUnavailable


def require_repository(name: str) -> None:
    """Raise InputError for a name that no repository of the hub can have."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    if name.count("/") != 1:
        raise InputError(f"{name!r} is not a hub repository: --push-to-hub needs owner/name.")
    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise InputError(f"{name!r} is not a hub repository: {error}") from None


def push_to_hub(folder: Path, repository: str, *, private: bool = False) -> str:
    """Upload an adapter's folder to a model repository, which is created if need be; return its address.

    Raises: what `require_repository` raises; ModelUnavailable if the hub refuses or cannot be reached. The adapter in
    `folder` stays complete, and the upload can be repeated.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    require_repository(repository)
    api = HfApi()
    try:
        address = api.create_repo(repository, private=private, exist_ok=True)
        api.upload_folder(folder_path=folder, repo_id=repository, commit_message="Upload a SemPA adapter")
    except (HfHubHTTPError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelUnavailable(
            f"The adapter is in {folder}, but could not be uploaded to the hub as {repository} ({reason}): run "
            f"`hf auth login`, then `hf upload {repository} {folder}`."
        ) from error
    return str(address)
