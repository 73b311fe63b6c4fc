"""The page: a head, four tabs, four endpoints."""

import gradio as gr

from sempa.studio import Studio
from sempa.ui.compare import build_compare_tab
from sempa.ui.endpoints import add_endpoints
from sempa.ui.events import Stops
from sempa.ui.paraphrase import build_paraphrase_tab
from sempa.ui.present import header
from sempa.ui.search import build_search_tab
from sempa.ui.similarity import build_similarity_tab

TITLE = "SemPA Studio"


def build_page(studio: Studio) -> gr.Blocks:
    """Return the whole page for one studio, not yet launched."""
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(3600, 3600)) as page:
        gr.HTML(header(_chips(studio)))
        with gr.Tab("Similarity", id="similarity"):
            build_similarity_tab(studio)
        with gr.Tab("Search", id="search"):
            build_search_tab(studio)
        with gr.Tab("Paraphrase", id="paraphrase"):
            build_paraphrase_tab(studio, Stops(), page)
        with gr.Tab("Compare", id="compare"):
            build_compare_tab(studio, Stops(), page)
        add_endpoints(studio)
    return page


def _chips(studio: Studio) -> list[str]:
    pair = studio.pair
    adapter = f"adapter {pair.adapter.folder.name}" if pair.adapter else "no adapter: base alone"
    return [f"base {pair.info.name}", adapter, str(pair.info.precision)]
