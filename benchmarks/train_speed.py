"""Compare pairs per second with TRL's DPOTrainer: same machine, model, pairs, global batch and precision.

Each side runs in its own process, and the two alternate optimiser steps, so that background load affects both. A
recorded sweep first finds TRL's best setting: batch size, length grouping, and precomputed reference with its time
included. In float32, the losses are compared step by step.

`python benchmarks/train_speed.py --data TRIPLETS.csv --json results/train-speed.json`; needs `trl` and `datasets`.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from shared import Side, as_side, keep, matrix_rate, next_turn, peak_bytes, send

from sempa.config import DEFAULT_BASE, TrainConfig
from sempa.data.triplets import SAMPLE_TRIPLETS, read_triplets
from sempa.models.pair import ModelPair
from sempa.models.prompts import request_text
from sempa.models.source import locate
from sempa.training.examples import tokenize
from sempa.training.objectives import Objective
from sempa.training.policy import PolicyModel
from sempa.training.preferences import preferences

TRL_SIZES = {"cpu": (2, 4, 8, 16), "cuda": (16, 32, 64, 128, 256)}
"""Pairs per forward pass tried with TRL."""


def parser() -> argparse.ArgumentParser:
    """Return the parser."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--data", type=Path, default=SAMPLE_TRIPLETS, help="triplets (default: the sample triplets)")
    made.add_argument("--base", default=DEFAULT_BASE)
    made.add_argument("--precision", default="bfloat16")
    made.add_argument("--device", default="cpu")
    made.add_argument("--batch-size", type=int, default=64, help="pairs in one optimiser step, on both sides")
    made.add_argument("--rounds", type=int, default=3, help="steps of each side, alternating")
    made.add_argument("--warm-up", type=int, default=1, help="steps of each side before those, not counted")
    made.add_argument("--sweep-pairs", type=int, default=32, help="pairs a setting of TRL's sweep is timed on")
    made.add_argument("--json", type=Path)
    return made


def _common(args: argparse.Namespace) -> dict[str, Any]:
    return {"data": str(args.data), "base": args.base, "precision": args.precision, "device": args.device}


def ours(job: dict[str, Any]) -> None:
    """Take steps with this project's trainer; save its fresh adapter as TRL's starting point."""
    config = TrainConfig(batch_size=job["batch_size"], lr=job["lr"])
    triplets, _ = read_triplets(Path(job["data"]))
    pair = ModelPair.open(job["base"], precision=job["precision"], device=job["device"])
    count = job["batch_size"] * job["steps"]
    examples, _ = tokenize(pair.tokenizer, preferences(triplets[:count], config), config.max_length)
    model = PolicyModel(pair, config)
    if job.get("adapter"):
        model.save(Path(job["adapter"]))
    objective = Objective(model, examples, config)
    optimizer = torch.optim.AdamW(model.trainable.values(), lr=config.lr, weight_decay=0.0)
    rows = [example.pair for example in examples if example.pair]
    head = len(objective.readers[0].prefix_ids)
    send(
        layout=objective.layouts[0],
        tokens=sum(row.row_length(head) for row in rows) / len(rows),
        answer_tokens=sum(len(r) for row in rows for r in row.responses) / len(rows),
        parameters=pair.info.parameters,
        vocabulary=model.peft.get_base_model().get_output_embeddings().weight.numel(),
    )
    step = 0
    while next_turn():
        batch = examples[step * config.batch_size : (step + 1) * config.batch_size]
        started = time.perf_counter()
        metrics = objective.backward(batch)
        torch.nn.utils.clip_grad_norm_(model.trainable.values(), config.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if pair.device.type == "cuda":
            torch.cuda.synchronize()
        send(seconds=time.perf_counter() - started, loss=metrics["loss"])
        step += 1
    send(peak_bytes=peak_bytes())


def trl(job: dict[str, Any]) -> None:
    """Take steps with TRL's DPOTrainer; waiting for its turn is not counted."""
    from datasets import Dataset
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl import DPOConfig, DPOTrainer

    source = locate(job["base"])
    tokenizer = AutoTokenizer.from_pretrained(source.location)
    dtype = getattr(torch, job["precision"])
    base = AutoModelForCausalLM.from_pretrained(source.location, dtype=dtype).to(job["device"])
    model = PeftModel.from_pretrained(base, job["adapter"], is_trainable=True)
    triplets, _ = read_triplets(Path(job["data"]))
    count = job["batch_size"] * job["steps"]
    rows = [
        {"prompt": request_text(tokenizer, p.request), "chosen": p.responses[0], "rejected": p.responses[1]}
        for p in preferences(triplets[:count], TrainConfig())
    ]
    for row in rows:  # for length grouping: TRL cannot count the tokens of preference rows itself
        row["length"] = len(tokenizer(row["prompt"] + max(row["chosen"], row["rejected"], key=len)).input_ids)
    plain = AutoTokenizer.from_pretrained(source.location)
    plain.chat_template = None  # prompts are already rendered
    spent = {"before": 0.0}

    class Timed(DPOTrainer):  # type: ignore[misc]
        def _precompute_ref_logps(self, *args: Any, **options: Any) -> Any:
            started = time.perf_counter()
            dataset = super()._precompute_ref_logps(*args, **options)
            spent["before"] += time.perf_counter() - started
            return dataset

    class InTurn(TrainerCallback):  # type: ignore[misc]
        started = 0.0

        def on_step_begin(self, _args: Any, _state: Any, control: Any, **_: Any) -> None:
            if not next_turn():
                send(peak_bytes=peak_bytes())
                os._exit(0)
            self.started = time.perf_counter()

        def on_log(self, _args: Any, _state: Any, _control: Any, logs: dict[str, Any], **_: Any) -> None:
            if "loss" in logs:
                send(seconds=time.perf_counter() - self.started, loss=float(logs["loss"]))

    size = min(job["setting"].get("per_device_train_batch_size", 8), job["batch_size"])
    settings = {**job["setting"], "per_device_train_batch_size": size}
    with tempfile.TemporaryDirectory() as folder:
        config = DPOConfig(
            output_dir=folder,
            beta=TrainConfig().beta,
            learning_rate=job["lr"],
            lr_scheduler_type="constant",
            warmup_steps=0,
            max_steps=job["steps"] + 1,
            gradient_accumulation_steps=job["batch_size"] // size,
            gradient_checkpointing=False,
            max_length=None,
            logging_steps=1,
            report_to=[],
            save_strategy="no",
            disable_tqdm=True,
            use_cpu=job["device"] == "cpu",
            remove_unused_columns=False,  # keeps the column of lengths
            bf16=job["precision"] == "bfloat16",
            **settings,
        )
        trainer = Timed(
            model=model,
            args=config,
            train_dataset=Dataset.from_list(rows),
            processing_class=plain,
            callbacks=[InTurn()],
        )
        send(before_a_pair=spent["before"] / len(rows))
        trainer.train()


def _sweep(args: argparse.Namespace, adapter: str) -> list[dict[str, Any]]:
    """Time batch sizes and orders with the reference computed per step, then the best with it precomputed."""
    tried = [
        {"per_device_train_batch_size": size, "train_sampling_strategy": order, "precompute_ref_log_probs": False}
        for size in TRL_SIZES[args.device]
        if size <= args.sweep_pairs
        for order in ("sequential", "group_by_length")
    ]
    runs = _timed(args, adapter, tried)
    best = _best(runs)["setting"]
    return runs + _timed(args, adapter, [{**best, "precompute_ref_log_probs": True}])


def _timed(args: argparse.Namespace, adapter: str, settings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    on_gpu = args.device != "cpu"  # the first step on a GPU loads its kernels
    size, steps = args.sweep_pairs, 1 + on_gpu

    def started(setting: dict[str, Any]) -> Side | Exception:
        job = {"setting": setting, "batch_size": size, "steps": steps, "lr": 1e-4, "adapter": adapter}
        try:
            return Side(__file__, "trl", **_common(args), **job)
        except RuntimeError as error:
            return error

    runs = []
    with ThreadPoolExecutor(len(settings)) as pool:
        # On a GPU, all start at once and then take turns; on a CPU, each starts after the previous one ends.
        sides = list(pool.map(started, settings)) if on_gpu else map(started, settings)
        for setting, side in zip(settings, sides, strict=True):
            run: dict[str, Any] = {"setting": setting}
            try:
                if isinstance(side, Exception):
                    raise side
                if on_gpu:
                    side.turn()
                seconds = side.turn()["seconds"] / size + side.ready["before_a_pair"]
                run |= {"pairs_a_second": 1 / seconds, **side.stop()}
            except (RuntimeError, KeyError) as error:
                run["error"] = str(error)[:200]
            print(json.dumps(run), flush=True)
            runs.append(run)
    return runs


def _best(runs: list[dict[str, Any]]) -> dict[str, Any]:
    return max((run for run in runs if "error" not in run), key=lambda run: run["pairs_a_second"])


def _losses(args: argparse.Namespace, adapter: str) -> list[dict[str, float]]:
    exact = argparse.Namespace(**{**vars(args), "precision": "float32"})
    mine = Side(__file__, "ours", **_common(exact), batch_size=8, steps=3, lr=1e-3, adapter=adapter)
    theirs = Side(
        __file__,
        "trl",
        **_common(exact),
        setting={"train_sampling_strategy": "sequential"},
        batch_size=8,
        steps=3,
        lr=1e-3,
        adapter=adapter,
    )
    losses = [{"ours": mine.turn()["loss"], "trl": theirs.turn()["loss"]} for _ in range(3)]
    mine.stop()
    theirs.stop()
    return losses


def main() -> int:
    """Measure and print; return 1 if the losses disagree."""
    if mine := as_side():
        name, job = mine
        (ours if name == "ours" else trl)(job)
        return 0
    args = parser().parse_args()
    with tempfile.TemporaryDirectory() as folder:
        adapter = str(Path(folder) / "adapter")
        losses = _losses(args, adapter)
        print(json.dumps({"losses": losses}), flush=True)
        off = max(abs(pair["ours"] - pair["trl"]) for pair in losses)
        sweep = _sweep(args, adapter)
        best = _best(sweep)
        size = args.batch_size
        steps = args.rounds + args.warm_up
        mine = Side(__file__, "ours", **_common(args), batch_size=size, steps=steps, lr=1e-4, adapter=None)
        theirs = Side(
            __file__,
            "trl",
            **_common(args),
            setting=best["setting"],
            batch_size=size,
            steps=steps,
            lr=1e-4,
            adapter=adapter,
        )
        for _ in range(args.warm_up):
            mine.turn()
            theirs.turn()
        rounds = []
        for _ in range(args.rounds):
            seconds = {"ours": mine.turn()["seconds"], "trl": theirs.turn()["seconds"]}
            seconds["trl"] += size * theirs.ready["before_a_pair"]
            rounds.append({**seconds, "ratio": seconds["trl"] / seconds["ours"]})
            print(json.dumps(rounds[-1]), flush=True)
        peaks = {"ours": mine.stop()["peak_bytes"], "trl": theirs.stop()["peak_bytes"]}
        rate = matrix_rate(args.precision, args.device)
    facts = mine.ready
    # Each of reference forward, policy forward and activation gradients multiplies by every frozen weight once.
    body = facts["parameters"] - facts["vocabulary"]
    needed = 3 * 2 * (facts["tokens"] * body + facts["answer_tokens"] * facts["vocabulary"])
    speed = {side: size / statistics.median(r[side] for r in rounds) for side in ("ours", "trl")}
    ratios = [r["ratio"] for r in rounds]
    result = {
        "kind": "train-speed",
        "pairs_a_second": speed,
        "ratio": {"median": statistics.median(ratios), "low": min(ratios), "high": max(ratios)},
        "rounds": rounds,
        "warm_up": args.warm_up,
        "batch_size": size,
        "precision": args.precision,
        "device": args.device,
        "base_model": args.base,
        "data": args.data.name,
        "layout": facts["layout"],
        "trl_setting": best["setting"],
        "trl_sweep": sweep,
        "losses_float32": losses,
        "loss_difference": off,
        "peak_bytes": peaks,
        "operations_a_pair": needed,
        "matrix_rate": rate,
        "share_of_matrix_rate": speed["ours"] * needed / rate,
        "config": asdict(TrainConfig()),
        "versions_trl": version("trl"),
    }
    print(json.dumps({key: result[key] for key in ("pairs_a_second", "ratio", "peak_bytes", "share_of_matrix_rate")}))
    keep(result, args.json)
    if off > 1e-4:
        print(f"The losses differ by {off:.2g}, more than 1e-4.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
