"""The Chat tab: one prompt to both models, and the key tokens of a sentence."""

from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from sempa.models.generate import Sampling
from sempa.service.studio import Studio
from sempa.ui.events import Context, seed_field, slider
from sempa.ui.streaming import build_writing, shown
from sempa.ui.tokens import build_tokens

FIRST_SAMPLING = Sampling(n=1, temperature=0, max_new_tokens=64)
EXAMPLES = [
    "In two sentences, why is the sky blue?",
    "Write a four-line poem about a lighthouse.",
    "What is 17 times 6? Explain the steps.",
    "Give three tips for a first job interview.",
]


def answers(studio: Studio, prompt: str, stopped: Callable[[], bool], **sampling: Any) -> Iterator[str]:
    """Yield both models' answers as they are generated; `sampling` has the fields of Sampling."""
    asked = Sampling(n=1, top_p=0.9, **sampling)
    yield from shown(studio.answer(prompt, asked, stopped), studio.adapter, asked.max_new_tokens)


def build_chat_tab(context: Context) -> None:
    """Add the tab's widgets and events to the page."""

    def settings() -> dict[str, Any]:
        first = FIRST_SAMPLING
        with gr.Row():
            return {
                "temperature": slider(0, 1.5, first.temperature, "Temperature (0 = most likely)", step=0.05),
                "max_new_tokens": slider(16, 512, first.max_new_tokens, "Token limit", step=16),
                "seed": seed_field(first.seed),
            }

    gr.Markdown("Can the aligned model still write? Send both the same prompt.")
    build_writing(context, "chat", ("prompt", "Prompt"), EXAMPLES, "Send to both", settings, answers)
    build_tokens(context)
