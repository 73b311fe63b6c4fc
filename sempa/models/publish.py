"""Put a finished adapter on the hub."""

from pathlib import Path

from sempa.errors import InputError, ModelUnavailable


def push_to_hub(folder: Path, repository: str, *, private: bool = False) -> str:
    """Upload an adapter's folder to a model repository, made if it is not there; return its address.

    Raises: InputError if the name is not owner/name; ModelUnavailable if the hub refuses or cannot be reached: the
    adapter in `folder` is whole, and the upload can be repeated.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    if repository.count("/") != 1:
        raise InputError(f"{repository!r} is no hub repository: --push-to-hub needs owner/name.")
    api = HfApi()
    try:
        address = api.create_repo(repository, private=private, exist_ok=True)
        api.upload_folder(folder_path=folder, repo_id=repository, commit_message="Upload a SemPA adapter")
    except HFValidationError as error:
        raise InputError(f"{repository!r} is no hub repository: {error}") from None
    except (HfHubHTTPError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelUnavailable(
            f"The adapter is in {folder}, but could not be put on the hub as {repository} ({reason}): run `hf auth "
            f"login`, then `hf upload {repository} {folder}`."
        ) from error
    return str(address)
