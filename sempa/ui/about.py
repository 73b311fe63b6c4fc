"""The About panel: method, loaded models, machine, privacy and citation."""

import gradio as gr

from sempa.machine import hardware
from sempa.models.adapters import AdapterInfo
from sempa.service.adapters import Adapters

METHOD = """
**Method.** SemPA trains a language model to paraphrase. From natural language inference data, the model learns to
prefer a sentence that follows from the original over one that contradicts it, by DPO and through a small LoRA adapter.
To embed a sentence, the model is asked to say it "in one word"; the hidden state before its answer is the embedding.
The architecture does not change. In the paper, writing quality stays the same on average; the Evidence tab shows what
was measured here. SemPA is the work of Chen, Huang, Wang, Wang, Yin and Huang
([Findings of ACL 2026](https://arxiv.org/abs/2601.05075)); this is an independent implementation.
"""
KEPT = """
**Privacy.** Your input is not stored. Only embeddings are kept in memory, to answer faster. A private index of your
text stays in memory until an hour after you leave, and only you can search it. A public index is written to this app's
disk. Files you upload and tables you download are deleted after an hour. Nothing is sent anywhere else.
"""
CITE = """@inproceedings{chen2026sempa,
  title = {SemPA: Improving Sentence Embeddings of Large Language Models through Semantic Preference Alignment},
  author = {Chen and Huang and Wang and Wang and Yin and Huang},
  booktitle = {Findings of the Association for Computational Linguistics: ACL 2026},
  pages = {37299--37312},
  year = {2026},
  note = {arXiv:2601.05075}
}"""


def runs_here(adapters: Adapters) -> str:
    """Describe the loaded model, its adapters and the machine."""
    known = {name: adapters.choose(name).pair.adapter for name in adapters.names}
    trained = [f"`{name}` ({_trained(adapter)})" for name, adapter in known.items() if adapter]
    named = "no adapter" if not trained else f"adapter{'s' if trained[1:] else ''} {', '.join(trained)}"
    licences = "Code Apache-2.0"
    if any(adapter and (adapter.folder / "README.md").is_file() for adapter in known.values()):
        licences += "; model and adapters have their own licences, stated on their cards (`README.md` in each folder)"
    info = adapters.choose().pair.info
    return (
        f"**Model.** {info.name} ({info.parameters:,} parameters) in {info.precision}, "
        f"{named}, on {hardware()}. {licences}."
    )


def _trained(adapter: AdapterInfo) -> str:
    training = adapter.recipe and adapter.recipe.training
    return f"{training.objective}: {training.summary()}" if training else "training not recorded"


def build_about(adapters: Adapters) -> None:
    """Add the panel to the page."""
    with gr.Accordion("About: method, model, licences, privacy, how to cite", open=False, elem_id="about"):
        gr.Markdown(METHOD)
        gr.Markdown(runs_here(adapters))
        gr.Markdown(KEPT)
        gr.Textbox(CITE, label="BibTeX", lines=8, interactive=False, buttons=["copy"], elem_id="about-cite")
