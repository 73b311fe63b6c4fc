"""Realistic triplet files: quoted, unusual, partly broken; and the shipped sample."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from sempa.config import TrainConfig
from sempa.data.triplets import (
    SAMPLE_TRIPLETS,
    Triplet,
    TripletReport,
    read_neutrals,
    read_triplets,
    split_held_out,
    triplets_from_rows,
    with_neutrals,
)
from sempa.errors import InputError
from sempa.training.preferences import Preference, preferences


def _file(tmp_path: Path, content: str | bytes, name: str = "triplets.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


@pytest.mark.parametrize(
    "header", ["sent0,sent1,hard_neg", "anchor,positive,negative", "anchor,entailment,contradiction"]
)
def test_csv_with_any_of_the_known_columns(tmp_path: Path, header: str) -> None:
    triplets, report = read_triplets(_file(tmp_path, f"{header}\na,b,c\nd,e,f\n"))
    assert triplets == [Triplet("a", "b", "c"), Triplet("d", "e", "f")]
    assert str(report) == "2 triplets"


def test_csv_columns_are_found_by_name(tmp_path: Path) -> None:
    triplets, _ = read_triplets(_file(tmp_path, "id,hard_neg,sent1,sent0\n7,c,b,a\n"))
    assert triplets == [Triplet("a", "b", "c")]


def test_csv_quotes_commas_newlines_and_a_byte_order_mark(tmp_path: Path) -> None:
    text = '\ufeffsent0,sent1,hard_neg\r\n"He said ""no"", twice","two\nlines","naïve 😀"\r\n'
    triplets, _ = read_triplets(_file(tmp_path, text))
    assert triplets == [Triplet('He said "no", twice', "two\nlines", "naïve 😀")]


def test_words_other_readers_take_for_missing_are_sentences(tmp_path: Path) -> None:
    words = ["None", "NA", "null", "nan", "N/A", "NULL", "n/a", "-", "0"]
    rows = "".join(f"{word},yes,no\n" for word in words)
    triplets, report = read_triplets(_file(tmp_path, "sent0,sent1,hard_neg\n" + rows))
    assert [triplet.anchor for triplet in triplets] == words
    assert report.skipped == {}


def test_jsonl(tmp_path: Path) -> None:
    rows = [
        {"anchor": "None", "positive": 'b "q"', "negative": "c\nd"},
        {"anchor": "é", "positive": "f", "negative": "g"},
    ]
    text = "\n\n".join(json.dumps(row) for row in rows) + "\n"
    triplets, _ = read_triplets(_file(tmp_path, text, "triplets.jsonl"))
    assert triplets == [Triplet("None", 'b "q"', "c\nd"), Triplet("é", "f", "g")]


def test_an_edit_is_optional_and_may_be_empty(tmp_path: Path) -> None:
    triplets, _ = read_triplets(_file(tmp_path, "anchor,positive,negative,edit\na,b,c, e \nf,g,h,\ni,j,k\n"))
    assert triplets == [Triplet("a", "b", "c", edit="e"), Triplet("f", "g", "h"), Triplet("i", "j", "k")]


@pytest.mark.parametrize("objective", ["dpo", "joint", "contrastive"])
def test_preferences_learn_from_the_edit_and_cosines_from_the_contradiction(objective: str) -> None:
    edited = Triplet("A man eats.", "Someone is eating.", "A man sleeps.", edit="No man eats.")
    (found,) = preferences([edited], TrainConfig(objective=objective, tokenised_share=0.0))
    if objective != "contrastive":
        assert found.responses == ("Someone is eating.", "No man eats.")
    if objective != "dpo":
        assert "A man sleeps" in found.sentences[2]
        assert "No man" not in "".join(found.sentences)


def test_sentences_are_stripped_of_white_space_at_their_ends(tmp_path: Path) -> None:
    triplets, _ = read_triplets(_file(tmp_path, "sent0,sent1,hard_neg\n a , b\t,c \n"))
    assert triplets == [Triplet("a", "b", "c")]


def test_skipped_rows_are_counted_by_reason() -> None:
    good = {"sent0": "a", "sent1": "b", "hard_neg": "c"}
    rows: list[dict[str, object]] = [
        good,
        {**good, "sent1": ""},
        {**good, "hard_neg": "  "},
        {**good, "hard_neg": "b"},
        {**good, "hard_neg": " b "},
        {**good, "hard_neg": "b "},
        {**good, "sent0": 5},
        {"sent0": "a", "sent1": "b"},
        {**good, "sent0": "d"},
    ]
    triplets, report = triplets_from_rows(rows, "rows")
    assert [triplet.anchor for triplet in triplets] == ["a", "d"]
    assert report.used == 2
    assert report.skipped == {
        "with an empty sentence": 2,
        "whose entailment equals the contradiction": 3,
        "with a value that is not text": 1,
        "with a missing column": 1,
    }
    assert str(report) == (
        "2 triplets; skipped 7 rows: 3 whose entailment equals the contradiction, 2 with an empty sentence, "
        "1 with a value that is not text, 1 with a missing column"
    )


def test_a_short_csv_row_is_skipped_not_read_as_none(tmp_path: Path) -> None:
    triplets, report = read_triplets(_file(tmp_path, "sent0,sent1,hard_neg\na,b\na,b,c\n"))
    assert triplets == [Triplet("a", "b", "c")]
    assert report.skipped == {"with a missing column": 1}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", "premise,hypothesis,label\na,b,0\n", "has the columns premise, hypothesis, label, but triplets need"),
        ("t.csv", "a,b,c\nd,e,f\n", "has the columns a, b, c, but triplets need sent0/sent1/hard_neg or anchor/"),
        ("t.jsonl", '{"text": "a"}\n', "has the columns text, but"),
        ("t.jsonl", '{"sent0": "a"\n', "row 1 is not JSON"),
        ("t.jsonl", '\n["a", "b", "c"]\n', "row 1 is not an object"),
        ("t.csv", "", r"has no usable triplets \(0 triplets\)"),
        ("t.jsonl", "", r"has no usable triplets \(0 triplets\)"),
        ("t.csv", "sent0,sent1,hard_neg\n", r"has no usable triplets \(0 triplets\)"),
        ("t.csv", "sent0,sent1,hard_neg\na,b,b\n", "has no usable triplets .*1 whose entailment equals"),
        ("t.csv", b"\x89PNG\r\n\x1a\n\x00\x00\xff\xfe", r"is not UTF-8 text \(byte 0\)"),
        ("t.jsonl", b"\x1f\x8b\x08\x00gzip", r"is not UTF-8 text \(byte 1\)"),
        ("t.csv", "sent0,sent1,hard_neg\n".encode("utf-16"), r"is not UTF-8 text \(byte 0\)"),
        ("t.csv", 'sent0,sent1,hard_neg\n"' + "x" * 200_000 + '",b,c\n', "row 1 cannot be read as CSV"),
    ],
    ids=range(13),
)
def test_what_is_no_triplet_file_is_one_sentence(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    path = _file(tmp_path, content, name)
    with pytest.raises(InputError, match=message) as caught:
        read_triplets(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere.csv does not exist"):
        read_triplets(tmp_path / "nowhere.csv")


def test_pairs_ask_for_the_anchor_and_prefer_the_entailment() -> None:
    pairs = preferences([Triplet("A cat sat.", "It sat.", "It ran.")], TrainConfig(template="P4"))
    request = 'Generate a paraphrase of the sentence: "A cat sat.".'
    assert pairs == [Preference(request, ("It sat.", "It ran."), anchor="A cat sat.")]


def test_an_anchor_is_asked_for_as_it_is() -> None:
    """The paper tidies sentences for embedding, not for paraphrase requests."""
    (pair,) = preferences([Triplet('He said "why?"', "b", "c")], TrainConfig(template="<{sentence}>"))
    assert pair.request == '<He said "why?">'


def test_sentences_are_read_as_the_encoder_reads_them() -> None:
    config = TrainConfig(objective="contrastive", embedding_template="prompteol", kl_weight=0.1)
    (shown,) = preferences([Triplet('He said "why?"', "He asked", "He slept.")], config)
    assert shown == Preference(
        sentences=(
            'This sentence : "He said \'why?\'" means in one word:"',
            'This sentence : "He asked." means in one word:"',
            'This sentence : "He slept." means in one word:"',
        ),
        text='He said "why?"',
        anchor='He said "why?"',
    )
    config = replace(config, embedding_template="plain")  # which the encoder reads untidied
    (shown,) = preferences([Triplet('He said "why?"', "He asked", "He slept.")], config)
    assert shown.sentences == ('He said "why?"', "He asked", "He slept.")


def test_a_share_is_shown_tokenised_by_the_seed() -> None:
    triplets = [Triplet(f"It's {i}.", "Yes, so.", "No, not.") for i in range(400)]
    config = TrainConfig(template="{sentence}", tokenised_share=0.25)
    shown = preferences(triplets, config)
    assert shown == preferences(triplets, config) != preferences(triplets, replace(config, seed=1))
    anchors = [p.request.startswith("it ' s ") for p in shown]
    answers = [p.responses == ("yes , so .", "no , not .") for p in shown]
    assert 70 < sum(anchors) < 130
    assert 70 < sum(answers) < 130
    assert 10 < sum(a and b for a, b in zip(anchors, answers, strict=True)) < 45
    assert all(p.responses in (("Yes, so.", "No, not."), ("yes , so .", "no , not .")) for p in shown)


def test_neutrals_join_by_premise(tmp_path: Path) -> None:
    path = _file(tmp_path, 'premise,neutral\nNone,"x, y"\nNone,z\nb,same\n', "neutrals.csv")
    triplets = [Triplet("None", "e", "c"), Triplet("b", "same", "c"), Triplet("other", "e", "c")]
    assert with_neutrals(triplets, read_neutrals(path)) == [Triplet("None", "e", "c", "x, y")]


def test_a_file_without_neutrals_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lacks the columns premise, neutral"):
        read_neutrals(_file(tmp_path, "a,b\n1,2\n", "neutrals.csv"))
    with pytest.raises(InputError, match="nowhere.csv does not exist"):
        read_neutrals(tmp_path / "nowhere.csv")


def _repeated(anchors: int, times: int) -> list[Triplet]:
    return [Triplet(f"a{i}", f"b{j}", f"c{j}") for j in range(times) for i in range(anchors)]


def test_held_out_split_keeps_the_same_anchor_on_one_side() -> None:
    triplets = _repeated(50, 3)
    kept, held = split_held_out(triplets, seed=1, share=0.2)
    assert {t.anchor for t in kept} & {t.anchor for t in held} == set()
    assert (len(kept), len(held)) == (120, 30)
    assert sorted(map(str, kept + held)) == sorted(map(str, triplets))


def test_held_out_split_depends_on_the_seed_alone() -> None:
    triplets = _repeated(50, 2)
    assert split_held_out(triplets, seed=1) == split_held_out(triplets, seed=1)
    assert split_held_out(triplets, seed=1) != split_held_out(triplets, seed=2)
    shuffled = split_held_out(triplets[::-1], seed=1)[1]
    assert {t.anchor for t in shuffled} == {t.anchor for t in split_held_out(triplets, seed=1)[1]}


@pytest.mark.parametrize(("anchors", "held_out"), [(2, 1), (9, 1), (40, 4), (8000, 500)])
def test_held_out_split_is_a_tenth_at_least_one_at_most_500(anchors: int, held_out: int) -> None:
    kept, held = split_held_out(_repeated(anchors, 1), seed=0)
    assert (len(kept), len(held)) == (anchors - held_out, held_out)


def test_one_anchor_cannot_be_split() -> None:
    with pytest.raises(InputError, match="at least two different anchors"):
        split_held_out(_repeated(1, 5), seed=0)


def test_the_shipped_sample_is_whole() -> None:
    triplets, report = read_triplets(SAMPLE_TRIPLETS)
    assert len(triplets) >= 400
    assert report == TripletReport(used=len(triplets))
    assert len({triplet.anchor.casefold() for triplet in triplets}) == len(triplets)
    for triplet in triplets:
        assert len({triplet.anchor, triplet.entailment, triplet.contradiction}) == 3
        assert all(2 <= len(text.split()) <= 60 for text in (triplet.anchor, triplet.entailment, triplet.contradiction))


def test_the_shipped_sample_reads_the_same_with_another_csv_reader() -> None:
    with SAMPLE_TRIPLETS.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream, strict=True))
    assert rows[0] == ["sent0", "sent1", "hard_neg"]
    assert [Triplet(*row) for row in rows[1:]] == read_triplets(SAMPLE_TRIPLETS)[0]
