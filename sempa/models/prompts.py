"""Requests as token ids, in the model's chat format if it has one."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import date

from jinja2.exceptions import TemplateError
from transformers import PreTrainedTokenizerBase

from sempa.errors import InputError
from sempa.templates import SYSTEM_PROMPT

TODAY = date(2024, 7, 26)
"""The date given to chat templates that print one: the fallback of Llama 3's own template."""
NO_CHAT_FORMAT = (
    "This base model has no chat format: it continues text and was not taught to follow requests. It gets your prompt "
    "as plain text with a line break, and often writes on until the token limit."
)
"""What users must know of a model whose tokenizer has no chat template."""
PLAIN_END = "\n"
"""What follows a request without a chat format."""


Request = str | Sequence[Mapping[str, str]]
"""One user's request, or a conversation: messages with `role` (system, user or assistant) and `content`."""


def request_text(tokenizer: PreTrainedTokenizerBase, request: Request) -> str:
    """Render a request up to where the model's answer starts.

    Without a chat template this is each content and a line break; a template without a system role gets the request
    without our system prompt. A template that prints the date always prints `TODAY`, so that a request has the same
    tokens tomorrow, when a run is resumed or an answer is generated again.
    Raises: InputError for a conversation that the template refuses.
    """
    messages = [{"role": "user", "content": request}] if isinstance(request, str) else list(request)
    if not tokenizer.chat_template:
        return "".join(f"{message['content']}{PLAIN_END}" for message in messages)
    template = _at_a_fixed_date(tokenizer.get_chat_template())
    options = {"chat_template": template, "tokenize": False, "add_generation_prompt": True}
    system = [] if messages[0]["role"] == "system" else [{"role": "system", "content": SYSTEM_PROMPT}]
    try:
        return str(tokenizer.apply_chat_template([*system, *messages], **options))
    except TemplateError:
        try:
            return str(tokenizer.apply_chat_template(messages, **options))
        except TemplateError as error:
            raise InputError(f"The model's chat template refuses these messages: {error}") from error


def _at_a_fixed_date(template: str) -> str:
    """Return a chat template whose `strftime_now`, the only clock transformers gives templates, is fixed."""
    formats = re.findall(r"""strftime_now\(\s*["']([^"']+)""", template)
    if not formats:
        return template
    dates = json.dumps({each: TODAY.strftime(each) for each in formats})
    return f"{{% macro strftime_now(format) %}}{{{{ {dates}.get(format, '{TODAY}') }}}}{{% endmacro %}}{template}"


def request_ids(tokenizer: PreTrainedTokenizerBase, request: Request, *, chat: bool = True) -> list[int]:
    """Return the token ids of a rendered request, or of its bare text; a chat template brings its special tokens."""
    if not chat:
        return list(tokenizer(request).input_ids)
    return list(tokenizer(request_text(tokenizer, request), add_special_tokens=not tokenizer.chat_template).input_ids)


def response_ids(tokenizer: PreTrainedTokenizerBase, response: str) -> list[int]:
    """Return the token ids of an answer, closed by the end-of-sequence token.

    The answer is tokenised alone and joined to the request as ids, as in generation.
    Raises: InputError if the tokenizer has no end-of-sequence token.
    """
    if tokenizer.eos_token_id is None:
        raise InputError("The tokenizer has no end-of-sequence token to end answers with: choose another --base.")
    return [*tokenizer(response, add_special_tokens=False).input_ids, tokenizer.eos_token_id]


def text_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Return the token ids of plain text that continues other text."""
    return list(tokenizer(f" {text}", add_special_tokens=False).input_ids)


def first_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """Return the id that a text without context starts from: beginning of sequence, or else end."""
    return _first_of(tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id)


def padding_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """Return the id to pad rows with; masks come from lengths, so any valid id will do."""
    return _first_of(tokenizer.pad_token_id, tokenizer.eos_token_id)


def _first_of(*ids: int | None) -> int:
    return next((i for i in ids if i is not None), 0)


def stop_ids(tokenizer: PreTrainedTokenizerBase, configured: int | Sequence[int] | None) -> frozenset[int]:
    """Return every id that ends an answer: the tokenizer's and those the model's configuration names."""
    named = [configured] if isinstance(configured, int) else list(configured or [])
    return frozenset(i for i in (*named, tokenizer.eos_token_id) if i is not None)
