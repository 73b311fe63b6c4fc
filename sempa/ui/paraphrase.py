"""One sentence, both models' paraphrases, written at once."""

from collections.abc import Callable, Iterator

import gradio as gr

from sempa.models.generate import Sampling, Texts
from sempa.service.adapters import Adapters
from sempa.service.studio import Studio
from sempa.ui.events import LANE, OPENING, PRIVATE, SEND, Stops, for_people
from sempa.ui.links import Links
from sempa.ui.present import candidate_cards, paraphrase_choices, say
from sempa.ui.similarity import SendPair
from sempa.ui.streaming import Once, shown

FIRST = "The committee postponed its decision until every member had read the report."
EXAMPLES = [
    FIRST,
    "Nobody noticed that the clock had stopped.",
    "If the frost returns, the blossom will not survive.",
    "The lawyer who had lost the case bought everyone a drink.",
]
FIRST_SAMPLING = Sampling(n=3, temperature=0.8, top_p=0.9, max_new_tokens=48, seed=7)


def paraphrases(
    studio: Studio, sentence: str, template: str, sampling: Sampling, stopped: Callable[[], bool]
) -> Iterator[str]:
    """Yield both models' candidates as they grow, and at the end judged and sorted."""
    last: Texts = {}

    def written() -> Iterator[Texts]:
        for texts in studio.paraphrase(sentence, sampling, template, stopped):
            last.update(texts)
            yield texts

    yield from shown(written(), studio.adapter)
    if last and not stopped():
        yield candidate_cards(studio.candidates(sentence, last), studio.adapter)


def build_paraphrase_tab(
    adapters: Adapters, adapter: gr.Dropdown, stops: Stops, page: gr.Blocks, links: Links, compare: SendPair
) -> None:
    """Put the tab's widgets and events into the page under construction; `compare` takes a pair to Similarity."""
    opening = Once(lambda: paraphrases(adapters.choose(), FIRST, "P1", FIRST_SAMPLING, lambda: False))

    @for_people
    def answer(
        sentence: str,
        template: str,
        n: int,
        temperature: float,
        top_p: float,
        tokens: int,
        seed: int,
        adapter: str,
        request: gr.Request,
    ) -> Iterator[str]:
        sampling = Sampling(n, temperature, top_p, tokens, seed)
        with stops.running(request.session_hash) as stopped:
            yield from paraphrases(adapters.choose(adapter), sentence, template, sampling, stopped)

    gr.Markdown(
        "Both models write at once, from one batch: same request, same dice. Then the aligned model judges all of it: "
        "most meaning kept in new words comes first."
    )
    sentence = gr.Textbox(FIRST, label="Sentence", lines=2, elem_id="paraphrase-sentence")
    with gr.Row():
        run = gr.Button("Write", variant="primary", elem_id="paraphrase-run")
        stop = gr.Button("Stop", elem_id="paraphrase-stop")
    with gr.Accordion("How it is asked and drawn", open=False):
        template = gr.Dropdown(
            paraphrase_choices(), value="P1", label="Request (or your own, with {sentence})", allow_custom_value=True
        )
        with gr.Row():
            n = gr.Slider(1, 8, value=FIRST_SAMPLING.n, step=1, label="Candidates")
            temperature = gr.Slider(
                0, 1.5, value=FIRST_SAMPLING.temperature, step=0.05, label="Temperature (0 = likeliest)"
            )
            top_p = gr.Slider(0.1, 1, value=FIRST_SAMPLING.top_p, step=0.05, label="Top p")
            tokens = gr.Slider(8, 256, value=FIRST_SAMPLING.max_new_tokens, step=8, label="Longest answer (tokens)")
            seed = gr.Number(FIRST_SAMPLING.seed, label="Seed", precision=0)
    links.add(
        "paraphrase",
        sentence=sentence,
        template=template,
        n=n,
        temperature=temperature,
        top_p=top_p,
        tokens=tokens,
        seed=seed,
    )
    out = gr.HTML(say("Writing the worked example …"), elem_id="paraphrase-out", label="Candidates", js_on_load=SEND)
    inputs = [sentence, template, n, temperature, top_p, tokens, seed, adapter]
    opened = page.load(for_people(opening.stream), None, out, **OPENING, **PRIVATE)
    # Gradio's page sends an event's cancellations after its own answer, so they are events of their own, put before it.
    gr.on([run.click, sentence.submit], None, cancels=[opened], **PRIVATE)
    writing = gr.on([run.click, sentence.submit], answer, inputs, out, **LANE, **PRIVATE)
    compare(out, sentence)
    stop.click(None, cancels=[writing, opened], **PRIVATE)
    stop.click(stops.stop_of, None, None, queue=False, **PRIVATE)
    gr.Examples([[text] for text in EXAMPLES], [sentence], label="Try", **PRIVATE)
