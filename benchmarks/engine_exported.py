"""Encode with a folder that `sempa export` wrote, through a backend of sentence-transformers; started by `engines.py`.

The job, JSON on standard input: `folder`, `backend`, `texts` and the `answer` file.
"""

import json
import sys
import time
from pathlib import Path

from sentence_transformers import SentenceTransformer


def main() -> None:
    job = json.load(sys.stdin)
    model = SentenceTransformer(job["folder"], backend=job["backend"], device="cpu")
    model.encode(job["texts"][:8])
    started = time.perf_counter()
    rows = model.encode(job["texts"], batch_size=8)
    found = {"vectors": rows.tolist(), "seconds": time.perf_counter() - started}
    Path(job["answer"]).write_text(json.dumps([found]), encoding="utf-8")


if __name__ == "__main__":
    main()
