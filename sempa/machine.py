"""The machine: hardware and versions a figure was measured on, and the GPU of a ZeroGPU Space."""

import importlib.util
import os
import platform
import time
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "transformers", "peft", "faiss-cpu", "gradio")
MEASURING = ("lm_eval", "sentence-transformers", "pytrec-eval-terrier")
"""Packages that figures of evaluations also depend on."""
GPU_SECONDS = 60


def on_gpu(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a handler to run on a ZeroGPU Space's GPU; elsewhere return it unchanged."""
    if importlib.util.find_spec("spaces") is None:
        return handler
    import spaces

    rented: Callable[..., Any] = spaces.GPU(duration=GPU_SECONDS)(handler)
    return rented


def hardware() -> str:
    """Return processor, cores usable and memory in words, and the GPU if torch sees one."""
    import torch

    threads = torch.get_num_threads()
    gibibytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30 if hasattr(os, "sysconf") else 0
    text = f"{_processor()}, {threads} thread{'s' if threads > 1 else ''}, {gibibytes:.0f} GiB"
    return f"{text}, {torch.cuda.get_device_name()}" if torch.cuda.is_available() else text


def versions(*more: str) -> dict[str, str]:
    """Return the versions of Python, of PACKAGES and of `more`, as far as they are installed."""
    found = {"python": platform.python_version()}
    for name in (*PACKAGES, *more):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def environment() -> dict[str, Any]:
    """Return hardware, versions and date, which every result states."""
    return {"hardware": hardware(), "versions": versions(*MEASURING), "date": time.strftime("%Y-%m-%d")}


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
        named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
        bf16 = " with AVX512-BF16" if "avx512_bf16" in cpuinfo.read_text(encoding="utf-8", errors="replace") else ""
        if named:
            return named[0] + bf16
    return platform.processor() or platform.machine()
