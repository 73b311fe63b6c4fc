"""Candidates are ranked by the studio's own scores, each computed independently of the others."""

from pathlib import Path

import pytest

from sempa.data.corpora import Corpus
from sempa.embedding.encoder import Encoder
from sempa.embedding.index import SentenceIndex
from sempa.errors import InputError
from sempa.models.pair import ModelPair
from sempa.service.index_store import IndexStore
from sempa.service.meaning import MAX_CANDIDATES, Question, Ranking, rank_candidates
from sempa.service.studio import Studio

A, B, C = "The hare outran the hound.", "The hound outran the hare.", "The hound was slower."


def _studio(pair: ModelPair, root: Path) -> Studio:
    SentenceIndex(Corpus((A, B), ({}, {}))).save(root / "demo")
    return Studio(Encoder(pair), IndexStore(root))


def test_scores_are_those_of_each_pair_alone(tuned_pair: ModelPair, tmp_path: Path) -> None:
    studio = _studio(tuned_pair, tmp_path)
    questions = [Question(A, (B, C)), Question(C, (A, B, "x"))]
    for question, ranking in zip(questions, rank_candidates(studio, questions), strict=True):
        assert ranking.question == question
        for number, other in enumerate(question.candidates):
            found = {method: scores[number] for method, scores in ranking.scores.items()}
            alone = {**studio.similarity(question.sentence, other)}
            alone["preference"] = studio.preference(question.sentence, other)
            assert found == pytest.approx(alone, abs=1e-5)


def test_without_an_adapter_only_the_base_ranks(tiny_pair: ModelPair, tmp_path: Path) -> None:
    (ranking,) = rank_candidates(_studio(tiny_pair, tmp_path), [Question(A, (B, A))])
    assert list(ranking.scores) == ["base"]
    assert ranking.order("base") == [1, 0]


def test_the_best_comes_first_and_ties_keep_their_order() -> None:
    ranking = Ranking(Question(A, (A, B, C)), {"base": [0.5, 0.9, 0.5]})
    assert ranking.order("base") == [1, 0, 2]


@pytest.mark.parametrize(
    ("question", "message"),
    [
        (Question("", (A, B)), "The sentence is empty"),
        (Question(A, (B,)), "enter at least two candidates, one per line"),
        (Question(A, (B, " ")), "Candidate 2 is empty"),
        (Question(A, (B,) * (MAX_CANDIDATES + 1)), "There are 21 candidates, but the limit is 20"),
    ],
)
def test_unusable_questions_are_refused(tiny_pair: ModelPair, tmp_path: Path, question: Question, message: str) -> None:
    with pytest.raises(InputError, match=message):
        rank_candidates(_studio(tiny_pair, tmp_path), [question])
