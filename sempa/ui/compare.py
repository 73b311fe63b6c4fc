"""One free prompt to both models, and what is known of each."""

from collections.abc import Callable, Iterator

import gradio as gr

from sempa.config import DEFAULT_BASE, DEFAULT_PUBLISHED, DEFAULT_WEIGHTS
from sempa.machine import hardware
from sempa.models.generate import Sampling
from sempa.models.pair import SEMPA
from sempa.service.adapters import Adapters
from sempa.service.studio import Studio
from sempa.ui.codes import frontier
from sempa.ui.events import LANE, OPENING, PRIVATE, Stops, for_people
from sempa.ui.evidence import evidence
from sempa.ui.links import Links
from sempa.ui.own_pairs import build_own_pairs
from sempa.ui.plots import run_curves
from sempa.ui.present import fact_table, say
from sempa.ui.streaming import Once, shown
from sempa.ui.tokens import build_tokens

FIRST = "In two sentences, why is the sky blue?"
FIRST_SAMPLING = Sampling(n=1, temperature=0, max_new_tokens=64)
EXAMPLES = [
    FIRST,
    "Write a four-line poem about a lighthouse.",
    "What is 17 times 6? Explain the steps.",
    "Give three tips for a first job interview.",
]


def answers(studio: Studio, prompt: str, sampling: Sampling, stopped: Callable[[], bool]) -> Iterator[str]:
    """Yield both models' answers as they grow."""
    yield from shown(studio.answer(prompt, sampling, stopped), studio.adapter)


def facts(studio: Studio) -> list[tuple[str, str]]:
    """Return what is known of the two models: names, sizes, recipe, machine."""
    pair, config = studio.pair, studio.encoder.config
    rows = [
        ("Base model", pair.info.name + (f" ({pair.info.revision})" if pair.info.revision else "")),
        *([("Its weights", f"{DEFAULT_WEIGHTS} ({DEFAULT_PUBLISHED})")] if pair.info.name == DEFAULT_BASE else []),
        ("Parameters", f"{pair.info.parameters:,}"),
    ]
    if pair.adapter and SEMPA in studio.variants:
        share = pair.adapter_parameters / pair.info.parameters
        size = f"{pair.adapter_parameters:,} parameters ({share:.1%} of the base)"
        scale = pair.adapter.scale
        scaled = "" if scale == 1 else f", scaled to {scale:.0%} after training"
        rows.append(("Adapter", f"{studio.adapter}, {size}{scaled}"))
        if (recipe := pair.adapter.recipe) and (t := recipe.training):
            seeds = pair.adapter.seeds
            drawn = f"the mean of runs with seeds {', '.join(map(str, seeds))}" if seeds else f"seed {t.seed}"
            rows.append(("Trained by", f"{t.objective}: {t.summary()}, schedule of {t.max_samples:,}, {drawn}"))
    rows += [
        ("Embedding read by", f"template {config.template}, layer {config.layer}, {config.pooling} token"),
        ("Runs in", str(pair.info.precision)),
        ("Machine", hardware()),
    ]
    return rows


def known(studio: Studio) -> str:
    """Return the facts, the adapter's training curves and every measured result of this model and adapter."""
    tables = evidence(studio.results(), studio.adapter)
    curves = run_curves(studio.pair.adapter.runs if studio.pair.adapter else [])
    adapter = studio.pair.adapter
    codes = "".join(frontier(result, adapter.sha256) for result in studio.frontiers() if adapter)
    tables = tables or say("No measured results for this model and adapter yet.")
    return fact_table(facts(studio)) + curves + tables + codes


def build_compare_tab(adapters: Adapters, adapter: gr.Dropdown, stops: Stops, page: gr.Blocks, links: Links) -> None:
    """Put the tab's widgets and events into the page under construction."""
    opening = Once(lambda: answers(adapters.choose(), FIRST, FIRST_SAMPLING, lambda: False))

    @for_people
    def answer(
        prompt: str, temperature: float, tokens: int, seed: int, adapter: str, request: gr.Request
    ) -> Iterator[str]:
        sampling = Sampling(1, temperature, 0.9, tokens, seed)
        with stops.running(request.session_hash) as stopped:
            yield from answers(adapters.choose(adapter), prompt, sampling, stopped)

    gr.Markdown("Has the aligned model unlearned to write? Ask both the same and judge.")
    prompt = gr.Textbox(FIRST, label="Prompt", lines=2, elem_id="compare-prompt")
    with gr.Row():
        run = gr.Button("Ask both", variant="primary", elem_id="compare-run")
        stop = gr.Button("Stop", elem_id="compare-stop")
    with gr.Accordion("How it is drawn", open=False), gr.Row():
        temperature = gr.Slider(
            0, 1.5, value=FIRST_SAMPLING.temperature, step=0.05, label="Temperature (0 = likeliest)"
        )
        tokens = gr.Slider(16, 512, value=FIRST_SAMPLING.max_new_tokens, step=16, label="Longest answer (tokens)")
        seed = gr.Number(FIRST_SAMPLING.seed, label="Seed", precision=0)
    links.add("compare", prompt=prompt, temperature=temperature, tokens=tokens, seed=seed)
    out = gr.HTML(say("Writing the worked example …"), elem_id="compare-out", label="Answers")
    opened = page.load(for_people(opening.stream), None, out, **OPENING, **PRIVATE)
    # Gradio's page sends an event's cancellations after its own answer, so they are events of their own, put before it.
    gr.on([run.click, prompt.submit], None, cancels=[opened], **PRIVATE)
    asking = gr.on(
        [run.click, prompt.submit], answer, [prompt, temperature, tokens, seed, adapter], out, **LANE, **PRIVATE
    )
    stop.click(None, cancels=[asking, opened], **PRIVATE)
    stop.click(stops.stop_of, None, None, queue=False, **PRIVATE)
    gr.Examples([[text] for text in EXAMPLES], [prompt], label="Try", **PRIVATE)
    build_tokens(adapters, adapter)
    build_own_pairs(adapters, adapter)
    gr.Markdown("## What is known of each")
    told = gr.HTML(known(adapters.choose()), elem_id="compare-known", label="What is known of each model")
    adapter.change(lambda name: known(adapters.choose(name)), adapter, told, **PRIVATE)
