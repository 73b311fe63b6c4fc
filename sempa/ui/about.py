"""What this is, what runs here, what is kept, and how to cite it."""

import gradio as gr

from sempa.machine import hardware
from sempa.studio import Studio

METHOD = """
**The method.** A language model is asked to paraphrase a sentence; of two answers taken from natural language
inference data it learns to prefer the one that follows from the sentence to the one that contradicts it, by DPO and a
small LoRA adapter. A sentence's embedding is the state from which the model would say the sentence "in one word". Its
architecture stays, and in the paper so does its writing, on average; what it costs here is measured under Compare.
SemPA is the work of Chen, Huang, Wang, Wang, Yin and Huang
([Findings of ACL 2026](https://arxiv.org/abs/2601.05075)); this is an independent implementation.
"""
KEPT = """
**What is kept.** What you type is computed on and forgotten, apart from vectors kept in memory to answer sooner. An
index of your own text is in memory, for you alone, until you leave; one you make public is written to this app's disk.
Files you upload and tables you download are deleted after an hour. Nothing is sent anywhere else.
"""
CITE = """@inproceedings{chen2026sempa,
  title = {SemPA: Improving Sentence Embeddings of Large Language Models through Semantic Preference Alignment},
  author = {Chen and Huang and Wang and Wang and Yin and Huang},
  booktitle = {Findings of the Association for Computational Linguistics: ACL 2026},
  pages = {37299--37312},
  year = {2026},
  note = {arXiv:2601.05075}
}"""


def runs_here(studio: Studio) -> str:
    """Return in words which model, adapter and machine answer."""
    pair = studio.pair
    adapter = f"adapter {studio.adapter}" if studio.adapter else "no adapter"
    if pair.adapter and pair.adapter.recipe and pair.adapter.recipe.training:
        training = pair.adapter.recipe.training
        adapter += f" ({training.objective}: {training.summary()}; its card is `README.md` in the adapter's folder)"
    licences = "Code Apache-2.0"
    if pair.adapter and (pair.adapter.folder / "README.md").is_file():
        licences += "; model and adapter have licences of their own, named on their cards"
    return (
        f"**What runs here.** {pair.info.name} ({pair.info.parameters:,} parameters) in {pair.info.precision}, "
        f"{adapter}, on {hardware()}. {licences}."
    )


def build_about(studio: Studio) -> None:
    """Put the panel into the page under construction."""
    with gr.Accordion("About: method, model, licences, what is kept, how to cite", open=False, elem_id="about"):
        gr.Markdown(METHOD)
        gr.Markdown(runs_here(studio))
        gr.Markdown(KEPT)
        gr.Textbox(CITE, label="BibTeX", lines=8, interactive=False, buttons=["copy"], elem_id="about-cite")
