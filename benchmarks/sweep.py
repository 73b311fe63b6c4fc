"""Train with one setting after another and record every run, even failed ones, in results/sweeps/NAME.jsonl.

`python benchmarks/sweep.py NAME --settings SETTINGS.jsonl -- --data TRIPLETS.csv --dev DEV.tsv`: each line of
SETTINGS.jsonl is an object of train.py's flags, e.g. {"lr": 3e-4, "objective": "joint"}; arguments after `--` apply to
every run. Settings already in NAME.jsonl are skipped, so an interrupted sweep resumes. A GPU can run several small
models at once (`--parallel`); the recorded seconds are then those of runs that share it.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def parser() -> argparse.ArgumentParser:
    """Return the parser."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("name", help="results/sweeps/NAME.jsonl; adapters go to runs/sweeps/NAME/FOLDER")
    made.add_argument("--settings", type=Path, required=True, help="one JSON object of train.py's flags a line")
    made.add_argument("--parallel", type=int, default=1, help="runs at once (default: %(default)s)")
    return made


def main() -> int:
    """Run every setting that is not recorded yet; return the number that failed."""
    split = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    args, common = parser().parse_args(sys.argv[1:split]), sys.argv[split + 1 :]
    record = ROOT / "results" / "sweeps" / f"{args.name}.jsonl"
    record.parent.mkdir(parents=True, exist_ok=True)
    known = [json.loads(line) for line in record.read_text().splitlines()] if record.is_file() else []
    taken = [run["setting"] for run in known]
    number = max((run["run"] for run in known), default=-1) + 1
    running: set[Future[dict[str, Any]]] = set()
    failed = 0
    with ThreadPoolExecutor(args.parallel) as pool:
        while True:  # re-read each time, so that settings can be added during a sweep
            settings = [json.loads(line) for line in args.settings.read_text().splitlines() if line.strip()]
            for setting in [one for one in settings if one not in taken][: args.parallel - len(running)]:
                running.add(pool.submit(_run, args.name, setting, common, number))
                taken.append(setting)
                number += 1
            if not running:
                return failed
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for run in (future.result() for future in done):
                failed += "error" in run
                with record.open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps(run) + "\n")
                print(json.dumps(run), flush=True)


def _run(name: str, setting: dict[str, Any], common: list[str], number: int) -> dict[str, Any]:
    key = hashlib.sha256(json.dumps([setting, common]).encode()).hexdigest()[:8]  # the same after an interruption
    output = ROOT / "runs" / "sweeps" / name / key
    command = [sys.executable, str(ROOT / "train.py"), *common, *_flags(setting), "--output", str(output)]
    resume = ["--resume"] if output.with_name(output.name + ".partial").is_dir() else []
    started = time.monotonic()
    done = subprocess.run([*command, *resume], cwd=ROOT, capture_output=True, text=True, check=False)
    seconds = round(time.monotonic() - started)
    run: dict[str, Any] = {"run": number, "folder": key, "setting": setting, "seconds": seconds}
    if done.returncode:
        return run | {"error": (done.stderr.strip().splitlines() or ["no message"])[-1]}
    return run | _recorded(output)


def _flags(setting: dict[str, Any]) -> list[str]:
    flags = []
    for key, value in setting.items():
        name = key.replace("_", "-")
        flags += [f"--{name}" if value else f"--no-{name}"] if isinstance(value, bool) else [f"--{name}", str(value)]
    return flags


def _recorded(output: Path) -> dict[str, Any]:
    """Return the recorded facts of a finished run."""
    facts = json.loads((output / "training.json").read_text())
    facts["config"] = json.loads((output / "sempa.json").read_text())["training"]  # includes defaults, unlike the flags
    lines = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    last = {key: round(value, 4) for key, value in lines[-1].items() if isinstance(value, float)}
    kept = ("config", "score_name", "scores", "hardware", "versions", "data")
    return {key: facts[key] for key in kept} | {"last": last}


if __name__ == "__main__":
    raise SystemExit(main())
