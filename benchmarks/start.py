"""How long does a command on a named model take, the first time and later, and how much memory does it need?

Every start is a process of its own: `sempa similarity` on two sentences, with the shipped adapter if there is one. The
first start downloads and converts the model into an empty cache. A file gathers the models of several calls.

`python benchmarks/start.py --base gemma3-270m --json results/start.json`
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from shared import ROOT, earlier_result, keep

from sempa.models.named import NAMED

SENTENCES = ("A man plays a guitar.", "Someone is making music.")


def started(base: str, cache: str) -> dict[str, float]:
    """Return a start's seconds and its peak memory in bytes; `cache` is the folder of fetched models."""
    command = [sys.executable, "-m", "sempa", "similarity", *SENTENCES, "--base", base]
    begun = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "SEMPA_CACHE": cache}, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"The start on {base} failed.")
    return {"seconds": time.perf_counter() - begun, "peak_bytes": used.ru_maxrss * 1024}


def main() -> int:
    """Measure and write the figures."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--base", choices=NAMED, required=True)
    made.add_argument("--later", type=int, default=3, help="later starts (default: %(default)s)")
    made.add_argument("--json", type=Path, required=True)
    args = made.parse_args()
    known = earlier_result(args.json).get("models", {})
    with tempfile.TemporaryDirectory() as cache:
        first = started(args.base, cache)
        later = [started(args.base, cache) for _ in range(args.later)]
    found = {"first": first, "later": later}
    print(args.base, found)
    keep({"kind": "start", "models": {**known, args.base: found}}, args.json)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
