"""The Paraphrase tab: both models paraphrase one sentence in the same batch."""

from collections.abc import Callable, Collection, Iterator
from typing import Any

import gradio as gr

from sempa.models.generate import Sampling, Texts
from sempa.service.studio import Studio
from sempa.templates import PARAPHRASE_TEMPLATES, SentenceTemplate
from sempa.ui.events import Context, seed_field, slider
from sempa.ui.present import candidate_cards, text_cards
from sempa.ui.similarity import SimilarityTab
from sempa.ui.streaming import build_writing, shown

EXAMPLES = [
    "The committee postponed its decision until every member had read the report.",
    "Nobody noticed that the clock had stopped.",
    "If the frost returns, the blossom will not survive.",
    "The lawyer who had lost the case bought everyone a drink.",
]
FIRST = EXAMPLES[0]
FIRST_SAMPLING = Sampling(n=3, temperature=0.8, top_p=0.9, max_new_tokens=48, seed=7)


def paraphrases(
    studio: Studio, sentence: str, stopped: Callable[[], bool], template: str, **sampling: Any
) -> Iterator[str]:
    """Yield both models' candidates as they are generated, then ranked; `sampling` has the fields of Sampling."""
    asked = Sampling(**sampling)

    def judged(texts: Texts, cut: Collection[str]) -> str:
        if stopped():
            return text_cards(texts, studio.adapter, done=True)
        return candidate_cards(studio.candidates(sentence, texts, cut), studio.adapter, sentence)

    written = studio.paraphrase(sentence, asked, template, stopped)
    yield from shown(written, studio.adapter, asked.max_new_tokens, judged)


def build_paraphrase_tab(context: Context, similarity: SimilarityTab) -> None:
    """Add the tab's widgets and events to the page; candidates can be sent to Similarity."""

    def settings() -> dict[str, Any]:
        template = gr.Dropdown(
            choices(), value="P1", label="Prompt (or your own, with {sentence})", allow_custom_value=True
        )
        first = FIRST_SAMPLING
        with gr.Row():
            return {
                "template": template,
                "n": slider(1, 8, first.n, "Candidates"),
                "temperature": slider(0, 1.5, first.temperature, "Temperature (0 = most likely)", step=0.05),
                "top_p": slider(0.1, 1, first.top_p, "Top p", step=0.05),
                "max_new_tokens": slider(8, 256, first.max_new_tokens, "Token limit", step=8),
                "seed": seed_field(first.seed),
            }

    gr.Markdown(
        "Same prompt, same seed for both models. First come paraphrases that keep the meaning and end, ordered by "
        "preference; what copies, runs on or changes a fact comes last."
    )
    sentence, out = build_writing(
        context, "paraphrase", ("sentence", "Sentence"), EXAMPLES, "Write", settings, paraphrases
    )
    similarity.take(out, sentence)


def choices() -> list[tuple[str, str]]:
    """Return the paraphrase templates as (shown, value), shown with their wording."""
    return [(f"{name}: {SentenceTemplate.paraphrase(name).render('…')}", name) for name in PARAPHRASE_TEMPLATES]
