"""The page: header, seven tabs, an optional Train tab, and five endpoints."""

import gradio as gr

from sempa.service.adapters import Adapters
from sempa.service.jobs import TrainingJobs
from sempa.service.studio import Studio
from sempa.ui.about import build_about
from sempa.ui.chat import build_chat_tab
from sempa.ui.endpoints import add_endpoints
from sempa.ui.events import PRIVATE, Context, keep_asked
from sempa.ui.evidence import build_evidence_tab
from sempa.ui.links import EVERYWHERE, Links
from sempa.ui.map import build_map_tab
from sempa.ui.meaning import build_meaning_tab
from sempa.ui.paraphrase import build_paraphrase_tab
from sempa.ui.present import header
from sempa.ui.search import build_search_tab
from sempa.ui.similarity import SimilarityTab
from sempa.ui.train import build_train_tab

TITLE = "SemPA Studio"


def build_page(adapters: Adapters, jobs: TrainingJobs | None = None) -> gr.Blocks:
    """Return the complete page, not yet launched; with `jobs`, visitors may train."""
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(300, 3600)) as page:
        several = len(adapters.names) > 1 or (jobs is not None and bool(adapters.choose().adapter))
        with gr.Row(equal_height=False):
            with gr.Column(scale=4, min_width=320):
                head = gr.HTML(header(_chips(adapters.choose())))
            with gr.Column(scale=1, min_width=220, visible=several):
                adapter = gr.Dropdown(adapters.names, value=adapters.names[0], label="Adapter", elem_id="adapter")
        if not adapters.choose().adapter:
            gr.Markdown(_base_alone(adapters.choose().pair.info.name, jobs), elem_id="base-alone")
        page.load(lambda: gr.update(choices=adapters.names), None, adapter, **PRIVATE)
        adapter.change(lambda name: header(_chips(adapters.choose(name))), adapter, head, **PRIVATE)
        with gr.Tabs() as tabs:
            context = Context(adapters, page, adapter, tabs, Links())
            context.links.add(EVERYWHERE, names={"adapter": lambda: adapters.names}, adapter=adapter)
            with gr.Tab("Meaning", id="meaning"):
                build_meaning_tab(context)
            with gr.Tab("Similarity", id="similarity"):
                similarity = SimilarityTab(context)
            with gr.Tab("Search", id="search"):
                index, query = build_search_tab(context)
            with gr.Tab("Map", id="map") as tab:
                build_map_tab(context, tab, index, query)
            with gr.Tab("Paraphrase", id="paraphrase"):
                build_paraphrase_tab(context, similarity)
            with gr.Tab("Chat", id="chat"):
                build_chat_tab(context)
            with gr.Tab("Evidence", id="evidence"):
                build_evidence_tab(context)
            if jobs:
                with gr.Tab("Train", id="train"):
                    build_train_tab(context, jobs)
        context.links.build(page, tabs)
        keep_asked(page)
        build_about(adapters)
        add_endpoints(adapters)
    return page


def _base_alone(base: str, jobs: TrainingJobs | None) -> str:
    here = "in the Train tab, or " if jobs else ""
    return (
        f"No adapter is loaded for `{base}`: this page shows the base model alone. Train an adapter {here}with "
        f"`python train.py --base {base}`, and compare both with `python app.py --base {base} --adapter FOLDER`."
    )


def _chips(studio: Studio) -> list[str]:
    pair = studio.pair
    adapter = f"adapter {studio.adapter}" if studio.adapter else "no adapter: base model only"
    return [f"base {pair.info.name}", adapter, str(pair.info.precision)]
