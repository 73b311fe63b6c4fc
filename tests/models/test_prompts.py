"""Requests as text, in chat formats that look at the clock."""

from collections.abc import Callable

import pytest
from transformers import PreTrainedTokenizerFast

from sempa.models.prompts import request_text

MakeTokenizer = Callable[..., PreTrainedTokenizerFast]

LLAMA = (
    "{%- if not date_string is defined %}{%- if strftime_now is defined %}"
    '{%- set date_string = strftime_now("%d %b %Y") %}{%- else %}{%- set date_string = "none" %}{%- endif %}'
    '{%- endif %}{{- bos_token }}{{- "Today Date: " + date_string + "\\n" }}'
    '{%- for message in messages %}{{- message["role"] + ": " + message["content"] + "\\n" }}{%- endfor %}'
)
REFUSING = (
    '{%- if messages[0].role == "system" %}{{ raise_exception("no system role") }}{%- endif %}'
    "It is {{ strftime_now('%Y-%m-%d') }}, {{ strftime_now( \"%B\" ) }}: {{ messages[0].content }}"
)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        pytest.param(LLAMA, "<s>Today Date: 26 Jul 2024\nsystem: ", id="as Llama 3 has it"),
        pytest.param(REFUSING, "It is 2024-07-26, July: Say it.", id="two forms, and no system role"),
        pytest.param(
            "{% set form = '%d' %}{{ strftime_now(form) }} {{ strftime_now('%Y') }}", "2024-07-26 2024", id="a name"
        ),
    ],
)
def test_a_request_is_the_same_on_every_day(make_tokenizer: MakeTokenizer, template: str, expected: str) -> None:
    tokenizer = make_tokenizer()
    tokenizer.chat_template = template
    assert request_text(tokenizer, "Say it.").startswith(expected)


def test_a_template_without_a_clock_is_rendered_as_transformers_does(make_tokenizer: MakeTokenizer) -> None:
    tokenizer = make_tokenizer(chat=True)
    found = request_text(tokenizer, "Say it.")
    system = found.split("system\n")[1].split("<|im_end|>")[0]
    messages = [{"role": "system", "content": system}, {"role": "user", "content": "Say it."}]
    assert found == tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)


def test_one_template_of_several_is_rendered(make_tokenizer: MakeTokenizer) -> None:
    tokenizer = make_tokenizer()
    tokenizer.chat_template = {"default": LLAMA, "tool_use": "{{ messages[0].tools }}"}
    assert "user: Say it." in request_text(tokenizer, "Say it.")
