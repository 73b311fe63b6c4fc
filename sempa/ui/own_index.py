"""Index a visitor's own texts: uploaded or pasted, private unless made public, deleted on request."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import gradio as gr

from sempa.data.corpora import Corpus, read_corpus
from sempa.data.rows import TABLES, read_rows
from sempa.errors import InputError
from sempa.service.adapters import Adapters
from sempa.service.index_store import MAX_EACH
from sempa.service.limits import MAX_TEXTS
from sempa.service.studio import Studio
from sempa.ui.events import LONG, PRIVATE, Context, ask
from sempa.ui.present import say
from sempa.ui.streaming import worked

Choices = list[tuple[str, str]]
LOOKED_AT = 20
"""Rows used to detect the text column."""
KEPT_SECONDS = 86_400
"""Lifetime of a private index after its owner's last search or build; Gradio keeps it an hour after the page closes."""
STORED = (
    f"Index up to {MAX_TEXTS:,} texts. Your index stays in memory, and only you can search it. It expires an hour "
    f"after you leave the page, or a day after your last search. You may keep {MAX_EACH}; a new one then replaces the "
    "oldest. A public index is written to this app's disk and shown to every visitor."
)


def choices(adapters: Adapters, visitor: str) -> Choices:
    """Return the indexes a visitor may search as (shown, name): public ones, then the visitor's own."""
    studio = adapters.choose()
    own = [(f"{key.rsplit('/', 1)[-1]} (yours)", key) for key in studio.indexes.own_names(visitor)]
    return [(name, name) for name in studio.indexes.names()] + own


def columns(path: str | None) -> list[str]:
    """Return a table's columns, the one with the longest texts first; empty for other or malformed files."""
    if not path or Path(path).suffix.lower() not in TABLES:
        return []
    try:
        rows = list(islice(read_rows(Path(path)), LOOKED_AT))
    except InputError:
        return []
    return sorted(rows[0], key=lambda name: -sum(len(str(row[name])) for row in rows)) if rows else []


def given_corpus(path: str | None, column: str | None, pasted: str) -> Corpus:
    """Return the texts of an uploaded file or of pasted text, one per line.

    Raises: InputError for neither or both; what `read_corpus` raises.
    """
    texts = tuple(line.strip() for line in pasted.splitlines() if line.strip())
    if path and texts:
        raise InputError("You gave both a file and pasted lines: remove one of them.")
    if path:
        return read_corpus(Path(path), column or None, MAX_TEXTS + 1)  # build_index rejects the extra one
    if not texts:
        raise InputError("There is no text yet: choose a file or paste some lines.")
    return Corpus(texts, tuple({} for _ in texts))


def made(studio: Studio, corpus: Corpus, name: str, visitor: str, *, public: bool) -> Iterator[tuple[str, str | None]]:
    """Build an index: yield progress, then a message with the name to search it by."""
    if not name.strip():
        raise InputError("The index needs a name: lower-case letters, digits, '-' and '_'.")
    studio.indexes.require_free(name.strip(), visitor, public=public)  # fail before embedding, which takes minutes
    for line, index in worked(lambda progress: studio.build_index(corpus, progress)):
        if index is None:
            yield say(line), None
        else:
            key = studio.indexes.put(index, name.strip(), visitor, public=public)
            yield say(f"{len(index):,} texts are ready: search them above."), key


def visitor_state(adapters: Adapters) -> gr.State:
    """Return a state with the visitor's key; when it expires, the visitor's private indexes are dropped.

    Gradio counts from the last write and treats a page with a broken connection, as on a locked phone, as closed. So
    every event that uses an index writes the key again.
    """
    return gr.State("", time_to_live=KEPT_SECONDS, delete_callback=adapters.indexes.forget)


def visitor_of(request: gr.Request) -> str:
    """Return the key of the requesting visitor."""
    return request.session_hash or ""


def build_own_index(context: Context, index: gr.Dropdown, visitor: gr.State) -> None:
    """Add the part's widgets and events to the page; a new index is selected in the dropdown `index`."""
    adapters = context.adapters

    def build(
        request: gr.Request, path: str | None, column: str | None, pasted: str, name: str, public: bool, adapter: str
    ) -> Iterator[tuple[str, dict[str, object], str]]:
        maker = visitor_of(request)
        corpus = given_corpus(path, column, pasted)
        for view, key in made(adapters.choose(adapter), corpus, name, maker, public=public):
            yield view, gr.update(choices=choices(adapters, maker), value=key) if key else gr.update(), maker

    def delete(request: gr.Request, name: str) -> tuple[str, dict[str, object], dict[str, object]]:
        maker = visitor_of(request)
        adapters.indexes.delete(name, maker)
        still = choices(adapters, maker)
        value = still[0][1] if still else None
        return say("Deleted."), gr.update(choices=still, value=value), gr.update(visible=False)

    def of_file(path: str | None) -> dict[str, object]:
        names = columns(path)
        return gr.update(choices=names, value=names[0] if names else None, visible=bool(names))

    def known(request: gr.Request) -> dict[str, object]:
        return gr.update(choices=choices(adapters, visitor_of(request)))

    with gr.Accordion("Search your own text", open=False, elem_id="own"):
        gr.Markdown(STORED)
        with gr.Row():
            kinds = [".txt", ".csv", ".jsonl"]
            file = gr.File(file_types=kinds, type="filepath", label="TXT, CSV or JSONL", height=130, elem_id="own-file")
            pasted = gr.Textbox(label="Or paste one text per line", lines=5, max_lines=10, elem_id="own-pasted")
        with gr.Row():
            column = gr.Dropdown([], label="Column with the text", visible=False, elem_id="own-column")
            name = gr.Textbox(label="Name of the index", placeholder="my-notes", elem_id="own-name")
            public = gr.Checkbox(label="Public: saved on disk, visible to every visitor", elem_id="own-public")
        with gr.Row():
            run = gr.Button("Build index", elem_id="own-run")
            cancel = gr.Button("Cancel", elem_id="own-cancel")
            remove = gr.Button("Delete the chosen index …", elem_id="own-delete")
        with gr.Row(visible=False) as sure:
            gr.Markdown("Delete this index? It cannot be restored.")
            yes = gr.Button("Delete", variant="stop", elem_id="own-yes")
            no = gr.Button("Keep it", elem_id="own-no")
        out = gr.HTML(elem_id="own-out", label="Progress")
    file.change(of_file, file, column, **PRIVATE)
    fields = [file, column, pasted, name, public, context.adapter]
    building = ask([run.click, name.submit], build, fields, [out, index, visitor], **LONG)
    cancel.click(lambda: say("Cancelled: nothing was kept."), None, out, cancels=[building], **PRIVATE)
    remove.click(lambda: gr.update(visible=True), None, sure, **PRIVATE)
    no.click(lambda: gr.update(visible=False), None, sure, **PRIVATE)
    ask([yes.click], delete, index, [out, index, sure])
    context.page.load(known, None, index, **PRIVATE)
