"""Python and curl code that asks the app what the present tab asks, with the same inputs."""

import json
import shlex
from collections.abc import Mapping
from typing import Any

from sempa.errors import InputError
from sempa.service.limits import lines_of
from sempa.ui.search import DENSE

_JSON = "-H 'Content-Type: application/json'"
_EVENT = "python3 -c 'import json, sys; print(json.load(sys.stdin)[\"event_id\"])'"
_ENDPOINTS = {
    "similarity": ("a", "b"),
    "search": ("query", "index", "k"),
    "paraphrase": ("sentence", "n", "temperature", "max_new_tokens", "seed"),
}
"""Fields of a tab, in the order of its endpoint's arguments; the adapter follows."""


def snippets(tab: str, address: str, fields: Mapping[str, Any]) -> tuple[str, str]:
    """Return Python and curl code for a tab's question; `address` is the app's, without a slash at its end.

    `fields` are those of the tab's links, and "adapter".
    Raises: InputError for a tab without an endpoint.
    """
    adapter = fields["adapter"]
    if tab in _ENDPOINTS:
        values = [*(fields[name] for name in _ENDPOINTS[tab]), adapter]
        if tab == "search":
            values.append(fields["by"] if fields["by"] != DENSE else "")
        call = f"app.predict({', '.join(map(repr, values))}, api_name={'/' + tab!r})"
        return _client(address, [f"print({call})"]), _event(address, tab, values)
    if tab == "meaning":
        return _meaning(address, fields, adapter)
    if tab == "chat":
        return _chat(address, fields, adapter)
    raise InputError("This tab has no endpoint: choose Meaning, Similarity, Search, Paraphrase or Chat.")


def _client(address: str, lines: list[str]) -> str:
    return "\n".join(["from gradio_client import Client", "", f"app = Client({address!r})", *lines])


def _event(address: str, tab: str, values: list[Any]) -> str:
    call = f"{address}/gradio_api/call/{tab}"
    body = shlex.quote(json.dumps({"data": values}, ensure_ascii=False))
    return f"EVENT=$(curl -s {call} {_JSON} \\\n  -d {body} | {_EVENT})\ncurl -sN {call}/$EVENT"


def _meaning(address: str, fields: Mapping[str, Any], adapter: str) -> tuple[str, str]:
    sentence, candidates = fields["sentence"], lines_of(fields["candidates"])
    python = _client(
        address,
        [
            f"sentence, adapter = {sentence!r}, {adapter!r}",
            f"for candidate in {candidates!r}:",
            '    cosines = app.predict(sentence, candidate, adapter, api_name="/similarity")',
            '    print(candidate, cosines, app.predict(sentence, candidate, adapter, api_name="/preference"))',
        ],
    )
    asked = {"model": adapter, "query": sentence, "documents": candidates, "score": "preference"}
    return python, _post(f"{address}/v1/rerank", asked)


def _chat(address: str, fields: Mapping[str, Any], adapter: str) -> tuple[str, str]:
    asked = {
        "model": adapter,
        "messages": [{"role": "user", "content": fields["prompt"]}],
        **{name: fields[of] for name, of in _SAMPLING.items()},
    }
    given = "".join(f"    {name}={value!r},\n" for name, value in asked.items())
    python = (
        "from openai import OpenAI\n\n"
        f"client = OpenAI(base_url={address + '/v1'!r}, api_key='none')  # the base model is 'base'\n"
        f"answer = client.chat.completions.create(\n{given})\nprint(answer.choices[0].message.content)"
    )
    return python, _post(f"{address}/v1/chat/completions", asked)


_SAMPLING = {"temperature": "temperature", "max_tokens": "max_new_tokens", "seed": "seed"}
"""Names of a chat request by those of the tab's fields."""


def _post(address: str, body: Mapping[str, Any]) -> str:
    return f"curl {address} {_JSON} \\\n  -d {shlex.quote(json.dumps(body, ensure_ascii=False))}"
