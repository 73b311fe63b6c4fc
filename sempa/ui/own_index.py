"""A visitor's own text as an index: given as a file or pasted, private unless named public, deleted on request."""

from collections.abc import Iterator
from pathlib import Path

import gradio as gr

from sempa.data.corpora import Corpus, read_corpus
from sempa.data.rows import TABLES, read_rows
from sempa.errors import InputError
from sempa.service.adapters import Adapters
from sempa.service.index_store import MAX_EACH
from sempa.service.limits import READ_AT_ONCE
from sempa.service.studio import Studio
from sempa.ui.events import LONG, PRIVATE, for_people
from sempa.ui.present import say
from sempa.ui.streaming import worked

Choices = list[tuple[str, str]]
STORED = (
    f"Up to {READ_AT_ONCE:,} texts. An index of yours lives in memory, for you alone, and goes an hour after you leave "
    f"the page; you may have {MAX_EACH}, a further one takes the oldest's place. One you make public is written to "
    "this app's disk and shown to every visitor."
)


def choices(adapters: Adapters, visitor: str) -> Choices:
    """Return the indexes a visitor may search as (shown, name): everybody's, then the visitor's own."""
    studio = adapters.choose()
    own = [(f"{key.rsplit('/', 1)[-1]} (yours)", key) for key in studio.shelf.own_names(visitor)]
    return [(name, name) for name in studio.index_names()] + own


def columns(path: str | None) -> list[str]:
    """Return the columns of a table, to choose the text column from; none for other files."""
    if not path or Path(path).suffix.lower() not in TABLES:
        return []
    try:
        return list(next(iter(read_rows(Path(path))), ()))
    except InputError:  # which reading the file will name
        return []


def given_corpus(path: str | None, column: str | None, pasted: str) -> Corpus:
    """Return the texts of an uploaded file, or of what was pasted, one a line.

    Raises: InputError if there is neither, or what `read_corpus` raises.
    """
    if path:
        return read_corpus(Path(path), column or None, READ_AT_ONCE + 1)  # one too many is refused when it is built
    texts = tuple(line.strip() for line in pasted.splitlines() if line.strip())
    if not texts:
        raise InputError("There is no text yet: choose a file or paste some lines.")
    return Corpus(texts, tuple({} for _ in texts))


def made(studio: Studio, corpus: Corpus, name: str, visitor: str, *, public: bool) -> Iterator[tuple[str, str | None]]:
    """Yield progress, and at the end what was made with the name it is searched by."""
    if not name.strip():
        raise InputError("The index needs a name: lower-case letters, digits, '-' and '_'.")
    studio.shelf.require_free(name.strip(), visitor, public=public)  # before minutes of reading
    for line, index in worked(lambda progress: studio.build_index(corpus, progress)):
        if index is None:
            yield say(line), None
        else:
            key = studio.shelf.put(index, name.strip(), visitor, public=public)
            yield say(f"{len(index):,} texts are ready: search them above."), key


def build_own_index(adapters: Adapters, adapter: gr.Dropdown, index: gr.Dropdown, page: gr.Blocks) -> None:
    """Put the part's widgets and events into the page; what is made is chosen in the dropdown `index`."""

    @for_people
    def build(
        path: str | None, column: str | None, pasted: str, name: str, public: bool, adapter: str, request: gr.Request
    ) -> Iterator[tuple[str, dict[str, object]]]:
        visitor = request.session_hash or ""
        corpus = given_corpus(path, column, pasted)
        for view, key in made(adapters.choose(adapter), corpus, name, visitor, public=public):
            chosen = gr.update(choices=choices(adapters, visitor), value=key) if key else gr.update()
            yield view, chosen

    @for_people
    def delete(name: str, request: gr.Request) -> tuple[str, dict[str, object], dict[str, object]]:
        visitor = request.session_hash or ""
        adapters.choose().shelf.drop(name, visitor)
        still = choices(adapters, visitor)
        value = still[0][1] if still else None
        return say("Deleted."), gr.update(choices=still, value=value), gr.update(visible=False)

    def offered(path: str | None) -> dict[str, object]:
        names = columns(path)
        likely = next((name for name in ("text", "sentence") if name in names), names[0] if names else None)
        return gr.update(choices=names, value=likely, visible=bool(names))

    def known(request: gr.Request) -> dict[str, object]:
        return gr.update(choices=choices(adapters, request.session_hash or ""))

    def left(request: gr.Request) -> None:
        adapters.choose().shelf.forget(request.session_hash or "")

    with gr.Accordion("Search your own text", open=False, elem_id="own"):
        gr.Markdown(STORED)
        with gr.Row():
            kinds = [".txt", ".csv", ".jsonl"]
            file = gr.File(file_types=kinds, type="filepath", label="TXT, CSV or JSONL", height=130, elem_id="own-file")
            pasted = gr.Textbox(label="Or paste lines", lines=5, max_lines=10, elem_id="own-pasted")
        with gr.Row():
            column = gr.Dropdown([], label="Column with the text", visible=False, elem_id="own-column")
            name = gr.Textbox(label="Name", placeholder="my-notes", elem_id="own-name")
            public = gr.Checkbox(label="Public: on disk, for every visitor", elem_id="own-public")
        with gr.Row():
            run = gr.Button("Make the index", elem_id="own-run")
            cancel = gr.Button("Cancel", elem_id="own-cancel")
            ask = gr.Button("Delete the chosen index …", elem_id="own-delete")
        with gr.Row(visible=False) as sure:
            gr.Markdown("Really delete it? It cannot be brought back.")
            yes = gr.Button("Delete", variant="stop", elem_id="own-yes")
            no = gr.Button("Keep it", elem_id="own-no")
        out = gr.HTML(elem_id="own-out", label="What became of it")
    file.change(offered, file, column, **PRIVATE)
    building = run.click(build, [file, column, pasted, name, public, adapter], [out, index], **LONG, **PRIVATE)
    cancel.click(lambda: say("Cancelled: nothing was kept."), None, out, cancels=[building], **PRIVATE)
    ask.click(lambda: gr.update(visible=True), None, sure, **PRIVATE)
    no.click(lambda: gr.update(visible=False), None, sure, **PRIVATE)
    yes.click(delete, index, [out, index, sure], **PRIVATE)
    page.load(known, None, index, **PRIVATE)
    page.unload(left)
