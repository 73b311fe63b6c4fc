"""The Meaning tab: which of several sentences means the same as another, to each model."""

from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr
from gradio.components.plot import PlotData

from sempa.evaluation.results import CONTRAST_KIND
from sempa.service.limits import lines_of
from sempa.service.meaning import PREFERENCE, Question, Ranking, rank_candidates
from sempa.service.studio import Studio
from sempa.ui.downloads import offered
from sempa.ui.events import PRIVATE, SEND, Context, ask, for_people, grey_out
from sempa.ui.picture import PICTURE
from sempa.ui.plots import random_pairs
from sempa.ui.present import MODEL_NAMES, button, card, note, say, table

NAMES = {**MODEL_NAMES, PREFERENCE: "SemPA by preference"}
_NOTES = {
    "base": "adapter off, cosine",
    "sempa": "adapter {adapter}, cosine",
    PREFERENCE: "adapter {adapter} against base, nats per token",
}


@dataclass(frozen=True)
class Example:
    """An example with its answer: the paraphrase means the same, the edit does not."""

    kind: str
    sentence: str
    paraphrase: str
    edit: str

    @property
    def question(self) -> Question:
        """Return the example as a question; the edit comes first, so that the order gives nothing away to a tie."""
        return Question(self.sentence, (self.edit, self.paraphrase))


EXAMPLES = [
    Example(
        "Negation",
        "The bakery has run out of bread.",
        "There are no loaves left at the baker's.",
        "The bakery has not run out of bread.",
    ),
    Example(
        "Roles",
        "The nurse thanked the patient.",
        "The patient received the nurse's thanks.",
        "The patient thanked the nurse.",
    ),
    Example(
        "Opposite",
        "The path to the lake is steep.",
        "You climb sharply to reach the water.",
        "The path to the lake is gentle.",
    ),
    Example(
        "Number",
        "Three of the lamps are broken.",
        "A trio of lights no longer works.",
        "Two of the lamps are broken.",
    ),
    Example(
        "Idiom",
        "She finally spilled the beans.",
        "In the end she gave the secret away.",
        "She finally spilled the soup.",
    ),
    Example(
        "Time",
        "He wrote the letter before the war ended.",
        "Peace came only when his letter was finished.",
        "He wrote the letter after the war ended.",
    ),
    Example(
        "Permission",
        "The guests may bring their dogs.",
        "Visitors are allowed to come with their pets.",
        "The guests must bring their dogs.",
    ),
    Example(
        "Cause",
        "The plants died because the heating failed.",
        "A broken boiler killed the greenery.",
        "The heating failed because the plants died.",
    ),
    Example(
        "Comparison",
        "The old engine is louder than the new one.",
        "The new motor makes less noise than its predecessor.",
        "The new engine is louder than the old one.",
    ),
    Example(
        "Unrelated",
        "The train to the coast was late again.",
        "Once more the seaside service did not run on time.",
        "The bride wore a pale blue dress.",
    ),
]
"""Written for this page; none of them is in the contrast set or in training data."""


def answer(studio: Studio, sentence: str, candidates: str) -> tuple[str, PlotData | None]:
    """Return the ranking of candidates, one per line, as cards, and a plot of their cosines among random pairs.

    Raises: what `rank_candidates` raises.
    """
    lines = tuple(lines_of(candidates))
    (ranking,) = rank_candidates(studio, [Question((sentence or "").strip(), lines)])
    return ranking_cards(ranking, studio.adapter, _known(ranking.question)), _plot(studio, ranking)


def _known(question: Question) -> str:
    """Return the right candidate of an example; empty for other questions."""
    found = (one.paraphrase for one in EXAMPLES if one.question == question)
    return next(found, "")


def ranking_cards(ranking: Ranking, adapter: str, right: str = "") -> str:
    """Return what follows from a ranking in a sentence, and a card per method; `right` is the correct candidate."""
    cards = "".join(
        card(
            "base" if method == "base" else "sempa",
            NAMES[method],
            _list(ranking, method, right),
            _note(method, adapter),
        )
        for method in ranking.scores
    )
    about = f"SemPA Studio · adapter {adapter}" if adapter else "SemPA Studio"
    carried = f'data-sentence="{escape(ranking.question.sentence)}" data-about="{escape(about)}"'
    return f'<p class="sp-finding" {carried}>{finding(ranking, right)}</p><div class="sp-grid">{cards}</div>'


def _note(method: str, adapter: str) -> str:
    return _NOTES[method].format(adapter=adapter)


def _list(ranking: Ranking, method: str, right: str) -> str:
    """Return the candidates, best first, with their scores and how far each is behind the first."""
    candidates, scores = ranking.question.candidates, ranking.scores[method]
    order = ranking.order(method)
    items = []
    for place, number in enumerate(order):
        behind = scores[order[0]] - scores[number]
        words = [f"{scores[number]:.3f}", f"{behind:.3f} behind"] if place else [f"{scores[number]:.3f}", "nearest"]
        if right and not place:
            words.append(_mark(candidates[number] == right, words=True))
        parts = "".join(f"<span>{word}</span>" for word in words)
        items.append(f'<li>{escape(candidates[number])}<div class="sp-meta">{parts}</div></li>')
    return f'<ol class="sp-list">{"".join(items)}</ol>'


def _mark(is_right: bool, *, words: bool = False) -> str:
    sign, word = ("✓", "right") if is_right else ("✗", "wrong")
    return f'<b class="sp-{word}" aria-label="{word}">{sign}{f" {word}" if words else ""}</b>'


def finding(ranking: Ranking, right: str = "") -> str:
    """Return, as HTML, which candidate each method puts nearest, and by how much."""
    told = []
    for method, scores in ranking.scores.items():
        first, second = ranking.order(method)[:2]
        nearest = ranking.question.candidates[first]
        kind = "the paraphrase" if nearest == right else "the edit"
        which = kind if right else f"“{_short(nearest)}”"
        unit = " nats per token" if method == PREFERENCE else ""
        ahead = scores[first] - scores[second]
        puts = f"{escape(which)} {ahead:.3f}{unit} nearer" if ahead >= 0.0005 else "both equally near"
        told.append(f"<b>{NAMES[method]}</b> puts {puts}")
    return "; ".join(told) + "."


def _short(text: str, most: int = 48) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def _plot(studio: Studio, ranking: Ranking) -> PlotData | None:
    cosines = {variant: scores for variant, scores in ranking.scores.items() if variant in studio.random_cosines}
    labels = [_short(text, 32) for text in ranking.question.candidates]
    return random_pairs(studio.random_cosines, cosines, labels)


def gallery(studio: Studio) -> tuple[str, str]:
    """Return all examples answered by the models that run: the tally of right answers, and a table."""
    rankings = rank_candidates(studio, [one.question for one in EXAMPLES])
    answers = [_answers(one, each) for one, each in zip(EXAMPLES, rankings, strict=True)]
    counts = {method: sum(each[method] for each in answers) for method in answers[0]}
    tally = " · ".join(f"<b>{NAMES[method]}</b> {count} of {len(EXAMPLES)}" for method, count in counts.items())
    rows = [
        [
            escape(one.kind) + ("" if any(each.values()) else _HARD),
            f"{escape(one.sentence)} {button(one.sentence, 'Open')}",
            *(_mark(is_right) for is_right in each.values()),
        ]
        for one, each in zip(EXAMPLES, answers, strict=True)
    ]
    heads = ["Kind", "Sentence", *(NAMES[method] for method in counts)]
    found = f'<p class="sp-finding">Right on the examples below: {tally}</p>{note(_measured(studio))}'
    return found, table(heads, rows, kind="sp-gallery")


def _answers(example: Example, ranking: Ranking) -> dict[str, bool]:
    """Return whether each method ranks an example's paraphrase first."""
    candidates = example.question.candidates
    return {method: candidates[ranking.order(method)[0]] == example.paraphrase for method in ranking.scores}


_HARD = " <span class='sp-chip'>still hard</span>"


def _measured(studio: Studio) -> str:
    """Return the contrast test's accuracies beside the tally, if they were measured with this adapter."""
    for result in studio.results():
        if result["kind"] == CONTRAST_KIND and result["split"] == "test":
            figures = {name: found["kinds"]["all"] for name, found in result["methods"].items() if name in NAMES}
            count = figures["base"]["items"]
            told = (
                f"{NAMES[name]} {found['figure']:.1f} % ({found['low']:.1f} to {found['high']:.1f})"
                for name, found in figures.items()
            )
            return f"Ten examples measure little. On the contrast test, {count} such triplets: {', '.join(told)}."
    return "Ten examples measure little: sempa evaluate contrast measures hundreds."


class Galleries:
    """Answer the examples once per adapter, for the first visitor who opens the page with it."""

    def __init__(self) -> None:
        self._answered: dict[str, tuple[str, str]] = {}

    def of(self, studio: Studio) -> tuple[str, str]:
        """Return the tally and the table of the examples under an adapter."""
        if studio.adapter not in self._answered:
            self._answered[studio.adapter] = gallery(studio)
        return self._answered[studio.adapter]


def build_meaning_tab(context: Context) -> None:
    """Add the tab's widgets and events to the page."""
    first = EXAMPLES[0].question
    view, drawn = answer(context.studio, first.sentence, "\n".join(first.candidates))
    gr.Markdown(
        "## Which one means the same?\n"
        "One candidate says the same in other words, another keeps the words and changes the meaning. Embeddings "
        "should put the first one nearer. The aligned model has a second score, preference: how much likelier it finds "
        "a candidate as a paraphrase than the base does. Try your own sentences."
    )
    tally = gr.HTML(say("Answering the examples …"), elem_id="meaning-tally", label="Right answers")
    with gr.Row():
        sentence = gr.Textbox(first.sentence, label="Sentence", elem_id="meaning-sentence")
        candidates = gr.Textbox(
            "\n".join(first.candidates), label="Candidates, one per line", lines=2, elem_id="meaning-candidates"
        )
    context.links.add("meaning", sentence=sentence, candidates=candidates)
    run = gr.Button("Rank", variant="primary", elem_id="meaning-run")
    out = gr.HTML(view, elem_id="meaning-out", label="Ranking")
    plot = gr.Plot(
        drawn,
        label="The candidates among random pairs of sentences",
        elem_id="meaning-plot",
        visible=drawn is not None,
    )
    with gr.Row():
        picture = gr.Button("Save as picture", size="sm", scale=0, min_width=180, elem_id="meaning-picture")
    picture.click(None, js=PICTURE, **PRIVATE)
    galleries = Galleries()
    examples = gr.HTML(elem_id="meaning-gallery", label="Examples", js_on_load=SEND)

    def ranked(sentence: str, candidates: str, adapter: str) -> tuple[str, dict[str, Any]]:
        cards, drawn = answer(context.adapters.choose(adapter), sentence, candidates)
        return cards, offered(drawn)

    def answered(adapter: str) -> tuple[str, str]:
        return galleries.of(context.adapters.choose(adapter))

    def opened(event: gr.SelectData) -> tuple[str, str]:
        question = next(one.question for one in EXAMPLES if one.sentence == event.value)
        return question.sentence, "\n".join(question.candidates)

    fields, shown = [sentence, candidates, context.adapter], [out, plot]
    chosen = examples.select(opened, None, [sentence, candidates], **PRIVATE)
    grey_out([sentence.change, candidates.change], [out], [plot])
    ask([run.click, sentence.submit, context.adapter.change], ranked, fields, shown, [chosen])
    counted = [tally, examples]
    loaded = for_people(answered, outputs=counted)
    alone = {"concurrency_id": "gallery", "concurrency_limit": 1}  # seen first, so not behind other worked examples
    gr.on([context.page.load, context.adapter.change], loaded, context.adapter, counted, **alone, **PRIVATE)
