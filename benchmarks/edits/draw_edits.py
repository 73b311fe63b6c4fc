"""Draw training triplets from a file of edits: minimal edits of anchors, by kind, among the original triplets.

`python benchmarks/edits/draw_edits.py EDITS.csv --output MIX.csv` reads what `make_edits.py` wrote and writes the
columns anchor, positive, negative, edit and kind. Preferences learn from the edit, cosines from the negative, which is
the contradiction and in a share of the triplets the edit too. Where the anchor has a rule-made paraphrase, that takes
the place of the entailment in a share of the triplets with an edit. Each triplet is used once at most; kinds with too
few edits give all they have. Standard library only.
"""

import argparse
import csv
import json
import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

SHARES = {
    "negation": 0.2,
    "antonym": 0.2,
    "roles": 0.18,
    "number": 0.12,
    "time": 0.1,
    "modality": 0.08,
    "cause": 0.06,
    "order": 0.06,
}
"""Share of each kind among the edits; rare kinds count for more than they occur."""
Drawn = tuple[str, str, str, str, str]


def main() -> None:
    """Read the arguments and write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("edits", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=30_000, help="triplets to draw (default: %(default)s)")
    parser.add_argument("--share", type=float, default=0.6, help="share with an edit (default: %(default)s)")
    parser.add_argument(
        "--paraphrases",
        type=float,
        default=0.7,
        help="share with the paraphrase, where there is one (default: %(default)s)",
    )
    parser.add_argument(
        "--negatives",
        type=float,
        default=0.0,
        help="share of the edits that cosines learn from too (default: %(default)s)",
    )
    parser.add_argument("--max-words", type=int, default=14, help="words per sentence (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=2)
    args = parser.parse_args()
    with args.edits.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    chosen = drawn(rows, args.rows, args.share, args.paraphrases, args.negatives, args.seed)
    short = [one for one in chosen if max(len(text.split()) for text in one[:4]) <= args.max_words]
    with args.output.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["anchor", "positive", "negative", "edit", "kind"])
        writer.writerows(short)
    counts = Counter(kind for *_, kind in short)
    print(f"{len(short):,} triplets: " + ", ".join(f"{kind} {count:,}" for kind, count in counts.most_common()))


def drawn(
    rows: Sequence[Mapping[str, str]], count: int, share: float, paraphrases: float, negatives: float, seed: int
) -> list[Drawn]:
    """Return `count` triplets (anchor, positive, negative, edit, kind) in random order.

    Rare kinds are drawn first, and within a kind the anchors that have a paraphrase.
    """
    generator = random.Random(seed)
    by_kind: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for number, row in enumerate(rows):
        for edit in json.loads(row["edits"])["anchor"]:
            by_kind[edit["kind"]].append((number, edit["text"]))
    chosen: list[Drawn] = []
    used: set[int] = set()
    for kind in sorted(SHARES, key=lambda kind: len(by_kind[kind])):
        wanted = len(chosen) + round(count * share * SHARES[kind])
        pool = generator.sample(by_kind[kind], len(by_kind[kind]))
        for number, text in sorted(pool, key=lambda item: not rows[item[0]]["paraphrase"]):
            if len(chosen) >= wanted:
                break
            if number not in used:
                used.add(number)
                row = rows[number]
                same = row["paraphrase"] if generator.random() < paraphrases else ""
                negative = text if generator.random() < negatives else row["negative"]
                chosen.append((row["anchor"], same or row["positive"], negative, text, kind))
    rest = [number for number in range(len(rows)) if number not in used]
    for number in generator.sample(rest, min(len(rest), count - len(chosen))):
        row = rows[number]
        chosen.append((row["anchor"], row["positive"], row["negative"], "", "contradiction"))
    generator.shuffle(chosen)
    return chosen


if __name__ == "__main__":
    main()
