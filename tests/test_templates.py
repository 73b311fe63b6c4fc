"""Every string a model sees, written out in full from the paper."""

import pytest

from sempa.errors import InputError
from sempa.templates import (
    EMBEDDING_TEMPLATES,
    PARAPHRASE_TEMPLATES,
    SYSTEM_PROMPT,
    SentenceTemplate,
    tidy_sentence,
    tokenised_text,
)

READING = {
    "prompteol": 'This sentence : "A cat sat." means in one word:"',
    "cot": 'After thinking step by step , this sentence : "A cat sat." means in one word:"',
    "knowledge": (
        "The essence of a sentence is often captured by its main subjects and actions, while descriptive terms provide "
        "additional but less central details. With this in mind , this sentence : "
        '"A cat sat." means in one word:"'
    ),
    "plain": "A cat sat.",
}
ASKING = {
    "P1": 'Keep the same meaning of this sentence: "A cat sat.", while making some changes.',
    "P2": (
        'Generate a paraphrase of this sentence: "A cat sat." that preserves its meaning, while making some changes.'
    ),
    "P3": 'Keep the main meaning of this sentence: "A cat sat.", and rewrite it in a different way.',
    "P4": 'Generate a paraphrase of the sentence: "A cat sat.".',
    "P5": (
        'Rewrite the sentence: "A cat sat." while preserving its main meaning, but the wording may be simplified or '
        "rephrased."
    ),
}


@pytest.mark.parametrize("name", READING)
def test_embedding_template_renders_as_the_paper_says(name: str) -> None:
    assert SentenceTemplate.embedding(name).render("A cat sat.") == READING[name]


@pytest.mark.parametrize("name", ASKING)
def test_paraphrase_template_renders_as_the_paper_says(name: str) -> None:
    assert SentenceTemplate.paraphrase(name).render("A cat sat.") == ASKING[name]


def test_no_template_is_left_untested() -> None:
    assert set(EMBEDDING_TEMPLATES) == set(READING)
    assert set(PARAPHRASE_TEMPLATES) == set(ASKING)
    assert SYSTEM_PROMPT == "You are a helpful assistant"


def test_a_text_with_one_slot_is_a_template() -> None:
    assert SentenceTemplate.embedding("<{sentence}>").render("x") == "<x>"
    assert SentenceTemplate.paraphrase("Say {sentence} anew.").render("x") == "Say x anew."


def test_a_slot_inside_the_sentence_stays_text() -> None:
    assert SentenceTemplate.embedding("<{sentence}>").render("{sentence} {0} %s") == "<{sentence} {0} %s>"


@pytest.mark.parametrize("text", ["", "P1 ", "no slot", "{sentence} twice {sentence}", "{ sentence }"])
def test_any_other_text_is_refused_naming_the_choices(text: str) -> None:
    with pytest.raises(InputError, match="prompteol, cot, knowledge, plain"):
        SentenceTemplate.embedding(text)
    with pytest.raises(InputError, match="P1, P2, P3, P4, P5"):
        SentenceTemplate.paraphrase(text)


@pytest.mark.parametrize(
    ("sentence", "tidy"),
    [
        ("A cat sat", "A cat sat."),
        ("A cat sat.", "A cat sat."),
        ("Did a cat sit?", "Did a cat sit."),
        ("A cat sat!", "A cat sat!."),
        ('He said "no"', "He said 'no'"),
        ('"No" he said', "'No' he said."),
        ('He asked "why?"', "He asked 'why?'"),
        ("the cat's'", "the cat's'"),
        ("two\nlines", "two lines."),
        ("a line\r\nand\ta  tab \n", "a line and a tab."),
        ("really??", "really?."),
        ("?", "."),
        ("", ""),
        (" \n ", ""),
        ("naïve café 😀", "naïve café 😀."),
        ("你好。", "你好。."),
    ],
)
def test_tidying_by_hand(sentence: str, tidy: str) -> None:
    assert tidy_sentence(sentence) == tidy


@pytest.mark.parametrize("sentence", ["A cat sat", 'He said "no"', "Why?", "two\nlines"])
def test_tidying_twice_changes_nothing_more(sentence: str) -> None:
    assert tidy_sentence(tidy_sentence(sentence)) == tidy_sentence(sentence)


@pytest.mark.parametrize(
    ("raw", "tokenised"),
    [
        ("A man with a hard hat is dancing.", "a man with a hard hat is dancing ."),
        ("One man is breaking cement on another man's chest.", "one man is breaking cement on another man ' s chest ."),
        ("It inched down 1 point, or 0.11 percent, to 1,650.", "it inched down 1 point , or 0.11 percent , to 1,650 ."),
        ('"No," he said; well-known @home?', '" no , " he said ; well-known @ home ?'),
        ("a salient_entity costs $5", "a salient _ entity costs $ 5"),
        ("  spaces\tand\nlines ", "spaces and lines"),
    ],
)
def test_tokenised_text_as_senteval_writes_it(raw: str, tokenised: str) -> None:
    assert tokenised_text(raw) == tokenised
    assert tokenised_text(tokenised) == tokenised
