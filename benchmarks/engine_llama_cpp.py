"""Run a GGUF file in llama.cpp; started by `engines.py` in an environment that has xllamacpp.

The job, JSON on standard input: `model`, perhaps `adapter`, `threads`, the `answer` file, and `parts`, each with texts
to embed, complete prompts to go on from, and the adapter's scale.
"""

import json
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import xllamacpp

CONTEXT = 512
"""Tokens of the longest prompt."""
AT_ONCE = 8


def server(job: dict[str, Any]) -> xllamacpp.Server:
    params = xllamacpp.CommonParams()
    params.model.path = job["model"]
    params.n_parallel, params.n_ctx = AT_ONCE, AT_ONCE * CONTEXT
    params.n_batch = params.n_ubatch = AT_ONCE * CONTEXT
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = job["threads"]
    params.embedding, params.verbosity, params.warmup = True, 0, True
    if job.get("adapter"):
        adapter = xllamacpp.CommonAdapterLoraInfo()
        adapter.path, adapter.scale = job["adapter"], 1.0
        params.lora_adapters = [adapter]
    return xllamacpp.Server(params)


def asked(found: Any) -> dict[str, Any]:
    answer = json.loads(found) if isinstance(found, str | bytes) else found
    if "error" in answer or answer.get("code"):
        raise RuntimeError(str(answer)[:500])
    return answer


def post(address: str, path: str, payload: Any) -> None:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{address}{path}", json.dumps(payload).encode(), headers)
    with urllib.request.urlopen(request) as answer:
        answer.read()


def part(engine: xllamacpp.Server, texts: list[str], prompts: list[str], scale: float | None) -> dict[str, Any]:
    """Embed and go on; the scale is set for embeddings on the server and for completions in each request."""
    lora = {} if scale is None else {"lora": [{"id": 0, "scale": scale}]}
    if scale is not None:
        post(engine.listening_address, "/lora-adapters", lora["lora"])
    started, vectors = time.perf_counter(), []
    for at in range(0, len(texts), 64):
        found = asked(engine.handle_embeddings({"input": texts[at : at + 64], "embd_normalize": 2}))["data"]
        vectors += [item["embedding"] for item in sorted(found, key=lambda item: item["index"])]
    seconds = time.perf_counter() - started
    if scale is not None:  # completions must not depend on what the server is set to
        post(engine.listening_address, "/lora-adapters", [{"id": 0, "scale": 1 - scale}])
    asks = [{"prompt": prompt, "max_tokens": 32, "temperature": 0, **lora} for prompt in prompts]
    written = [asked(engine.handle_completions(ask))["choices"][0]["text"] for ask in asks]
    return {"vectors": vectors, "seconds": seconds, "written": written}


def main() -> None:
    job = json.load(sys.stdin)
    engine = server(job)
    found = [part(engine, one["texts"], one.get("prompts", []), one.get("scale")) for one in job["parts"]]
    Path(job["answer"]).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
