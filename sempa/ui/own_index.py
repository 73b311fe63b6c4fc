"""Index a visitor's own texts: uploaded or pasted, private unless made public, deleted on request."""

import re
from collections.abc import Collection, Iterator
from html import escape
from itertools import chain, count, islice
from pathlib import Path
from typing import Any

import gradio as gr

from sempa.data.corpora import Corpus, read_corpus
from sempa.data.rows import LOOKED_AT, TABLES, has_header, read_rows
from sempa.errors import InputError
from sempa.service.adapters import Adapters
from sempa.service.index_store import MAX_EACH
from sempa.service.limits import MAX_TEXTS, lines_of
from sempa.service.studio import Studio
from sempa.ui.events import LONG, PRIVATE, Context, ask
from sempa.ui.present import counted, note, refusal, say
from sempa.ui.streaming import worked

Choices = list[tuple[str, str]]
PREVIEWED = 3
KEPT_SECONDS = 86_400
"""Lifetime of a private index after its owner's last search or build; Gradio keeps it an hour after the page closes."""
STORED = (
    f"Index up to {MAX_TEXTS:,} texts. Your index stays in memory, and only you can search it. It expires an hour "
    f"after you leave the page, or a day after your last search. You may keep {MAX_EACH}; a new one then replaces the "
    "oldest. A public index is written to this app's disk and shown to every visitor."
)


BOTH = "A file and pasted lines are given: the file is used, the pasted lines are not."
NO_HEADER = "No header found: the first row is read as text."


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
        rows = list(islice(read_rows(Path(path), header=has_header(Path(path))), LOOKED_AT))
    except InputError:
        return []
    return sorted(rows[0], key=lambda name: -sum(len(str(row[name])) for row in rows)) if rows else []


def suggested_name(path: str | None, taken: Collection[str] = ()) -> str:
    """Return a free name for an index, after its file if there is one."""
    stem = re.sub(r"[^a-z0-9]+", "-", Path(path).stem.lower()).strip("-")[:60] if path else ""
    stem = stem or "my-texts"
    names = chain([stem], (f"{stem}-{number}" for number in count(2)))
    return next(name for name in names if name not in taken)


def preview(path: str | None, column: str | None, pasted: str = "") -> str:
    """Return a file's first PREVIEWED texts as HTML and how it is read, or why it cannot be; empty without a file."""
    if not path:
        return ""
    try:
        corpus = read_corpus(Path(path), column or None, MAX_TEXTS + 1)
    except InputError as error:
        return refusal(str(error).replace(path, Path(path).name))
    items = "".join(f"<li>{escape(text[:200])}</li>" for text in corpus.texts[:PREVIEWED])
    many = f"more than {MAX_TEXTS:,}" if len(corpus.texts) > MAX_TEXTS else f"{len(corpus.texts):,}"
    notes = [BOTH] * bool(pasted.strip()) + [NO_HEADER] * (not has_header(Path(path), column or None))
    told = "".join(map(note, [*notes, f"{many} texts. The first:"]))
    return f'{told}<ol class="sp-numbered">{items}</ol>'


def given_corpus(path: str | None, column: str | None, pasted: str) -> Corpus:
    """Return the texts of an uploaded file or, without one, of pasted text, one per line.

    Raises: InputError for neither; what `read_corpus` raises.
    """
    texts = tuple(lines_of(pasted))
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
            yield counted(line), None
        else:
            key = studio.indexes.put(index, name.strip(), visitor, public=public)
            yield say(f"{len(index):,} texts are ready: search them below."), key


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
    ) -> Iterator[tuple[str, dict[str, object], str, dict[str, object]]]:
        maker = visitor_of(request)
        corpus = given_corpus(path, column, pasted)
        taken = {key.rsplit("/", 1)[-1] for _, key in choices(adapters, maker)}
        name = name.strip() or suggested_name(path, taken)
        for view, key in made(adapters.choose(adapter), corpus, name, maker, public=public):
            found = gr.update(choices=choices(adapters, maker), value=key) if key else gr.update()
            yield view, found, maker, gr.update(interactive=key is None)  # what is built is not built again

    def of_file(request: gr.Request, path: str | None, pasted: str) -> list[Any]:
        names = columns(path)
        column = names[0] if names else None
        taken = {key.rsplit("/", 1)[-1] for _, key in choices(adapters, visitor_of(request))}
        chosen = gr.update(choices=names, value=column, visible=bool(names))
        return [chosen, suggested_name(path, taken) if path else "", preview(path, column, pasted)]

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
            name = gr.Textbox(label="Name of the index", placeholder="my-texts", elem_id="own-name")
            public = gr.Checkbox(label="Public: saved on disk, visible to every visitor", elem_id="own-public")
        seen = gr.HTML(elem_id="own-preview", label="First texts")
        with gr.Row():
            run = gr.Button("Build index", elem_id="own-run")
            cancel = gr.Button("Cancel", elem_id="own-cancel")
            remove = gr.Button("Delete the chosen index …", visible=False, elem_id="own-delete")
        out = gr.HTML(elem_id="own-out", label="Progress")
        _build_delete(adapters, index, remove, run, out)
    file.change(of_file, [file, pasted], [column, name, seen], **PRIVATE)
    gr.on([column.input, pasted.change], preview, [file, column, pasted], seen, show_progress="hidden", **PRIVATE)
    changes = [part.change for part in (file, column, pasted, name, public)]
    gr.on(changes, lambda: gr.update(interactive=True), None, run, queue=False, show_progress="hidden", **PRIVATE)
    fields = [file, column, pasted, name, public, context.adapter]
    building = ask([run.click, name.submit], build, fields, [out, index, visitor, run], **LONG)
    cancel.click(lambda: say("Cancelled: nothing was kept."), None, out, cancels=[building], **PRIVATE)
    context.page.load(known, None, index, **PRIVATE)


def _build_delete(adapters: Adapters, index: gr.Dropdown, remove: gr.Button, run: gr.Button, out: gr.HTML) -> None:
    """Let a visitor delete an index of their own, after a question."""

    def delete(request: gr.Request, name: str) -> list[Any]:
        maker = visitor_of(request)
        adapters.indexes.delete(name, maker)
        still = choices(adapters, maker)
        value = still[0][1] if still else None
        built = gr.update(interactive=True)  # the same text may be built again
        return [say("Deleted."), gr.update(choices=still, value=value), gr.update(visible=False), built]

    def mine(request: gr.Request, name: str | None) -> dict[str, object]:
        return gr.update(visible=bool(name) and adapters.indexes.owns(str(name), visitor_of(request)))

    with gr.Row(visible=False) as sure:
        gr.Markdown("Delete this index? It cannot be restored.")
        yes = gr.Button("Delete", variant="stop", elem_id="own-yes")
        no = gr.Button("Keep it", elem_id="own-no")
    index.change(mine, index, remove, **PRIVATE)
    remove.click(lambda: gr.update(visible=True), None, sure, **PRIVATE)
    no.click(lambda: gr.update(visible=False), None, sure, **PRIVATE)
    ask([yes.click], delete, index, [out, index, sure, run])
