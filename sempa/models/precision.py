"""Device and number format, chosen from what the machine can do."""

import importlib.util
import os
from dataclasses import dataclass

import torch

from sempa.errors import InputError

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
FOUR_BIT = "nf4"


@dataclass(frozen=True)
class Precision:
    """The device and number format of a model, and why they were chosen; `four_bit` weights are NF4."""

    device: str
    dtype: torch.dtype
    reason: str
    four_bit: bool = False

    def __str__(self) -> str:
        weights = "4-bit weights, " if self.four_bit else ""
        return f"{weights}{str(self.dtype).removeprefix('torch.')} on {self.device} ({self.reason})"


def choose_precision(precision: str = "auto", device: str = "auto") -> Precision:
    """Return the device and number format requested, or the best for this machine.

    Processors with AVX512-BF16 or AMX multiply bfloat16 twice as fast as float32, others more slowly. "nf4" keeps the
    weights in four bits and computes in the format that "auto" would choose. Source: Dettmers et al. 2023, QLoRA.
    Raises: InputError for an unknown precision, one whose package is missing, or an absent device.
    """
    if precision not in ("auto", *DTYPES, FOUR_BIT):
        raise InputError(f"Precision {precision!r} is unknown: choose auto, {', '.join(DTYPES)} or {FOUR_BIT}.")
    device = choose_device(device)
    if precision in DTYPES:
        return Precision(device, DTYPES[precision], "as requested")
    best = _best(device)
    if precision == "auto":
        return best
    if importlib.util.find_spec("bitsandbytes") is None:
        raise InputError(f"Precision {FOUR_BIT} needs another package: pip install bitsandbytes.")
    computes = torch.float32 if best.dtype == torch.float16 else best.dtype
    return Precision(device, computes, "as requested", four_bit=True)


def _best(device: str) -> Precision:
    if device.startswith("cuda"):
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return Precision(device, torch.bfloat16, "this GPU computes bfloat16")
        return Precision(device, torch.float16, "this GPU has no bfloat16; enough for inference")
    if device == "mps":
        return Precision(device, torch.float16, "Apple GPU")
    can = torch.cpu.get_capabilities()
    if can.get("avx512_bf16") or can.get("amx_tile"):
        return Precision(device, torch.bfloat16, "this processor computes bfloat16")
    return Precision(device, torch.float32, "this processor has no fast bfloat16")


def launched_with(switch: str) -> bool:
    """Whether `accelerate launch` set a switch in the environment."""
    return os.environ.get(switch, "").lower() in ("1", "true", "yes")


def choose_training_precision(precision: str = "auto", device: str = "auto") -> str:
    """Return the requested precision, or the automatic one, but never float16, in which small models train to NaN."""
    if precision == "auto" and choose_precision(precision, device).dtype == torch.float16:
        return "float32"
    return precision


def choose_device(device: str = "auto") -> str:
    """Return the requested device, or the fastest present; the CPU under `accelerate launch --cpu`.

    Raises: InputError for one that is unknown or absent.
    """
    if device == "auto":
        if launched_with("ACCELERATE_USE_CPU"):
            return "cpu"
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    kind = device.split(":", maxsplit=1)[0]
    if kind not in present:
        raise InputError(f"Device {device!r} is unknown: choose auto, cpu, cuda or mps.")
    if not present[kind]:
        raise InputError(f"Device {device!r} is not available on this machine: use --device auto.")
    return device
