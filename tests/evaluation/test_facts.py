"""Numbers, names and negations in hand-written cases."""

import pytest

from sempa.evaluation.facts import facts_kept, names_of, numbers_of


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("No figure here.", []),
        ("In 1999 two men paid 1,200.50 dollars.", [1999, 2, 1200.5]),
        ("Twenty-five of the 3rd", [25, 3]),
        ("two hundred and five", [205]),
        ("five and six", [5, 6]),
        ("twenty and six", [20, 6]),
        ("one hundred thousand and forty", [100_040]),
        ("two million three hundred thousand", [2_300_000]),
        ("2.5 million, a dozen, two dozen", [2_500_000, 12, 24]),
        ("a hundred", [100]),
        ("This one is the one.", []),
        ("twenty one", [21]),
        ("nineteen ninety", [19, 90]),
        ("at 5:30, from 7-9 or 12.", [5, 30, 7, 9, 12]),
        ("version 1.2.3", [1.2, 3]),
        ("the 1990s", [1990]),
        ("second, thousands, someone, often", []),
    ],
)
def test_numbers(text: str, numbers: list[float]) -> None:
    assert numbers_of(text) == set(numbers)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("The cat sat.", []),
        ("Ann paid Bo.", ["bo"]),
        ("Yesterday Ann's boss and I met O'Neil, and I'm glad.", ["ann", "o", "neil"]),
        ("He left. She stayed in New York! Then it rained? Yes.", ["new", "york"]),
        ('He said: "We go to NATO." Fine', ["nato"]),
        ("Die Übung von Özil \u201cJa, Ärger\u201d", ["übung", "özil", "ärger"]),
        ("We saw Mr. Smith", ["mr"]),
        ("an Anglo-Saxon king", ["anglo", "saxon"]),
        ("", []),
    ],
)
def test_names(text: str, names: list[str]) -> None:
    assert names_of(text) == set(names)


@pytest.mark.parametrize(
    ("sentence", "paraphrase", "kept"),
    [
        ("Ann gave Bo two books.", "Bo received 2 books from Ann.", True),
        ("Ann gave Bo two books.", "Bo received three books from Ann.", False),
        ("Ann gave Bo books.", "Bo received three books from Ann.", False),
        ("Ann gave Bo two books.", "He received two books from Ann.", False),
        ("He did not leave.", "He stayed.", False),
        ("He did not leave.", "He never left.", True),
        ("He did leave.", "He didn\u2019t leave.", False),
        ("In June, sales in France fell by 5%.", "french and france: june sales fell 5 percent", True),
        ("It rains.", "Rain falls.", True),
        ("It rains.", " ", False),
    ],
)
def test_what_a_paraphrase_keeps(sentence: str, paraphrase: str, kept: bool) -> None:
    assert facts_kept(sentence, paraphrase) is kept
