"""Tables of the time and memory results from `benchmarks/`."""

from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

from sempa.evaluation.tables import Table


def _memory(result: Mapping[str, Any]) -> Table:
    rows = []
    for base in result["bases"]:
        held = base["bytes"]
        training = held["adapter_gradients_adam"] + held["activations"]
        sizes = [held["weights_bfloat16"], held["weights_four_bits"], training]
        totals = [held["weights_bfloat16"] + training, held["weights_four_bits"] + training]
        minutes = 10_000 / base["pairs_a_second"] / 60
        rows.append([base["base"], *(f"{size / 1e9:.1f} GB" for size in (*sizes, *totals)), f"{minutes:.1f} min"])
    head = ["base", "weights", "in four bits", "all else", "total", "total in four bits", "10,000 pairs"]
    gpu = result["gpu"]
    share = f"{gpu['share_assumed']:.0%}"
    time = f"time: operations at {share} of an {gpu['name']}'s {gpu['operations_a_second'] / 1e12:.0f} TFLOP/s"
    config = result["config"]
    steps = f"LoRA rank {config['lora_r']}, steps of {config['token_cap']} tokens"
    return head, rows, f"Computed, not measured ({time}), for {steps}"


def _train(result: Mapping[str, Any]) -> Table:
    speed, peak, ratio = result["pairs_a_second"], result["peak_bytes"], result["ratio"]
    rows = [
        [name, f"{speed[side]:.2f}", f"{peak[side] / 2**30:.1f} GiB"]
        for side, name in (("ours", "train.py"), ("trl", f"TRL {result['versions_trl']}, its best setting"))
    ]
    rows.append(["ratio", f"{ratio['median']:.1f} ({ratio['low']:.1f} to {ratio['high']:.1f})", ""])
    best = ", ".join(f"{key} {value}" for key, value in result["trl_setting"].items())
    before = result.get("warm_up", 1)  # older results warmed up for one step
    after = f", after {before} steps not counted" if before > 1 else ""
    work = f"{result['batch_size']} pairs per step{after}, LoRA rank {result['config']['lora_r']}"
    return ["", "pairs per second", "peak memory"], rows, f"{work}; TRL: {best}"


def _encoding(result: Mapping[str, Any]) -> Table:
    rows = []
    for name, way in result["methods"].items():
        speed = f"{way['sentences_a_second']:.1f} ({way['low']:.1f} to {way['high']:.1f})"
        ratio = "" if name == "ours" else f"{way['ratio']:.1f}"
        sts = "" if way["sts"] is None else f"{way['sts']:.2f}"
        rows.append([name, speed, ratio, f"{way['peak_bytes'] / 2**30:.1f} GiB", sts])
    head = ["method", "sentences per second", "ours is faster by", "peak memory", result["sts_data"] or "STS"]
    share = f"{result['share_of_matrix_rate']:.0%}"
    about = (
        f"{result['sentences']:,} sentences of {result['data']}, {result['tokens_a_sentence']:g} tokens each, prompt"
    )
    exact = f"in float32 ours differs from the paper's procedure by {result['difference_float32']:.0e} at most"
    return head, rows, f"{about} included; ours computes at {share} of the machine's matrix-product rate; {exact}"


def _latency(result: Mapping[str, Any]) -> Table:
    spent, ratio, starts = result["milliseconds"], result["ratio"], result["start_seconds"]
    rows = [[name, f"{milliseconds:.0f} ms"] for name, milliseconds in spent.items()]
    rows.append(["ratio", f"{ratio['median']:.1f} ({ratio['low']:.1f} to {ratio['high']:.1f})"])
    rows.append(["`python app.py` to the page", f"{starts['listens']:.1f} s"])
    rows.append(["`python app.py` to the first answer", f"{starts['first_answer']:.1f} s"])
    return ["one sentence, warm", ""], rows, "Alternating; the app with everything downloaded before"


def _writing(result: Mapping[str, Any]) -> Table:
    names = {
        "at once": "both models at once, one batch",
        "in turn": "transformers' generate, one model after the other",
    }
    sides = [result["fast"], result["float32"]]
    rows = [[text, *(f"{side['tokens_a_second'][name]:.1f}" for side in sides)] for name, text in names.items()]
    ratios = [side["ratio"] for side in sides]
    rows.append(["ratio", *(f"{ratio['median']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})" for ratio in ratios)])
    rows.append([f"of {result['answers']} greedy answers differ", *(str(side["different"]) for side in sides)])
    about = f"Up to {result['longest_answer']} tokens per answer; answers differ where rounding decides a near tie"
    return ["writing, tokens per second", "as it runs", "float32"], rows, about


def _search(result: Mapping[str, Any]) -> Table:
    rows = []
    for part in result["parts"].values():
        for how in ("exact", "approximate"):
            found = part[how]
            recall = f"{found['recall_at_10']:.3f}" if "recall_at_10" in found else "1"
            times = [f"{found['p50_ms']:.1f} ms", f"{found['p95_ms']:.1f} ms"]
            sizes = [f"{found['bytes'] / 2**20:,.0f} MiB", f"{found['build_seconds']:.0f} s"]
            rows.append([f"{part['vectors']:,}", how, *times, recall, *sizes])
    head = ["vectors", "search", "median", "95% within", "recall at 10", "memory", "built in"]
    about = f"Real vectors of {result['data']}, then more drawn around them; one query at a time"
    return head, rows, f"{about}, {result['threads']} threads"


def _index_size(result: Mapping[str, Any]) -> Table:
    rows = []
    for part in result["indexes"]:
        thousand = 1000 * part["read_seconds"] / part["texts"]
        memory = [f"{part[when] / 2**20:,.0f} MiB" for when in ("bytes_before", "peak_bytes", "disk_bytes")]
        rows.append([f"{part['texts']:,}", f"{thousand:.2f} s", f"{part['build_seconds']:.0f} s", *memory])
    head = ["texts", "time to encode 1,000", "index built in", "memory before", "at most", "index on disk"]
    each = [1000 * part["seconds"] / part["tokens"] for part in result["whole_model"]]
    first, last = (result["whole_model"][at]["sentences"] for at in (0, -1))
    complete = f"the complete model takes {min(each):.2f} to {max(each):.2f} s per 1,000 tokens of text"
    measured = f"for {first:,} to {last:,} sentences of {result['data']}"
    return head, rows, f"Encoded by the first layer of {result['base_model']} alone; {complete} {measured}"


def _visitor(result: Mapping[str, Any]) -> Table:
    rows = [[step, f"{seconds:.1f} s"] for step, seconds in result["seconds"].items()]
    return (
        ["a first visitor's path", ""],
        [*rows, ["all", f"{result['total']:.1f} s"]],
        "In Chromium on the same machine",
    )


def _profiles(result: Mapping[str, Any]) -> Table:
    kinds = list(next(iter(result["paths"].values()))["shares"])
    rows = []
    for name, path in result["paths"].items():
        shares = [path["shares"].get(kind, 0.0) for kind in kinds]
        cells = [f"{share:.0%}" for share in (*shares, max(0.0, 1 - sum(shares)))]
        rows.append([name, f"{path['seconds']:.2f} s", *cells])
    return ["path", "takes", *kinds, "rest"], rows, "Shares of the threads' time; the rest is Python and waiting"


def _engines(result: Mapping[str, Any]) -> Table:
    rows = []
    for way in result["ways"]:
        scale = "" if way["scale"] is None else f", scale {way['scale']:g}"
        answers = f"{way['answers_equal']} of {way['answers']}" if "answers" in way else ""
        sts = f"{way['sts']:.2f} ({way['sts_ours']:.2f})"
        speed = f"{way['sentences_a_second']:.1f} ({way['sentences_a_second_ours']:.1f})"
        export = f"`{way['options']}`{scale}"
        rows.append([way["engine"], export, way["variant"], f"{way['cosine_least']:.5f}", sts, answers, speed])
    head = ["engine", "export", "model", "least cosine with ours", "STS (ours)", "same greedy answers"]
    packages = sorted({package for way in result["ways"] for package in way["packages"]})
    about = f"The first {result['pairs']} pairs of {result['data']}, adapter `sempa`; {', '.join(packages)}"
    return [*head, "sentences per second (ours)"], rows, about


def _start(result: Mapping[str, Any]) -> Table:
    rows = []
    for name, model in result["models"].items():
        later = [start["seconds"] for start in model["later"]]
        peak = max(start["peak_bytes"] for start in model["later"])
        seconds = f"{median(later):.1f} s ({min(later):.1f} to {max(later):.1f})"
        rows.append([name, f"{model['first']['seconds']:.0f} s", seconds, f"{peak / 2**30:.1f} GiB"])
    head = ["base", "first start, with download", "later starts", "peak memory"]
    return head, rows, "`sempa similarity` on two sentences, a process per start; median and range of later starts"


SPEED_TABLES: dict[str, Callable[[Mapping[str, Any]], Table]] = {
    "memory": _memory,
    "train-speed": _train,
    "encoding": _encoding,
    "latency": _latency,
    "writing": _writing,
    "search": _search,
    "index-size": _index_size,
    "visitor": _visitor,
    "profiles": _profiles,
    "engines": _engines,
    "start": _start,
}
"""Table functions by kind of result."""
