"""Large blocks freed and taken again cost no page faults once freed memory is kept."""

import platform
import subprocess
import sys

import pytest

COUNTED = """
import resource, torch
from sempa.models.fast.allocator import keep_freed_memory

def faults():
    start = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        torch.ones(2**24)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - start

before = faults()
keep_freed_memory()
for _ in range(8):
    faults()  # what is kept grows to what is needed
print(before * resource.getpagesize(), faults() * resource.getpagesize())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="what is set is glibc's")
def test_freed_memory_is_used_again() -> None:
    run = subprocess.run([sys.executable, "-c", COUNTED], capture_output=True, text=True, check=True)
    before, after = map(int, run.stdout.split())
    assert before > 4 * 2**25  # four blocks of 64 MiB, of whose pages some may be large
    assert after < 2**22
