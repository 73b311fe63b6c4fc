"""The Map tab: an index as two linked maps, with the query as a star."""

import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

import gradio as gr
from gradio.components.plot import PlotData

from sempa.embedding.index import SentenceIndex
from sempa.errors import InputError
from sempa.service.maps import Plane, place
from sempa.service.studio import Studio
from sempa.ui.downloads import index_files
from sempa.ui.events import LONG, PRIVATE, SEND, Context, ask, grey_out
from sempa.ui.own_index import choices, visitor_of
from sempa.ui.plots import COLOURS, figure
from sempa.ui.present import MODEL_NAMES, hit_cards, note, say
from sempa.ui.streaming import worked

CLUSTER, PLAIN = "cluster", "one colour"
CLUSTERS = 8
MOST_GROUPS = 30
"""Maximum values of a tag that colours a map."""
PALETTE = ["#0d9488", "#ea580c", "#7c3aed", "#2563eb", "#ca8a04", "#db2777", "#16a34a", "#64748b", "#dc2626", "#0891b2"]
STAR = "#e11d48"
K = 5

_LINKED = """
const plots = () => ['base', 'sempa'].map(name => document.querySelector(`#map-${name} .js-plotly-plot`));
const stars = () => {
  const found = element.querySelector('[data-stars]');
  if (!found || !window.Plotly) return;
  const at = JSON.parse(found.dataset.stars);
  plots().forEach((plot, i) => {
    const spot = plot?.data && at[['base', 'sempa'][i]];
    if (spot) Plotly.restyle(plot, {x: [[spot[0]]], y: [[spot[1]]]}, [plot.data.length - 1]);
  });
};
const hover = (plot, point) => {  // by place: WebGL traces do not find points by number
  const trace = point?.customdata !== undefined && plot.data[point.curveNumber];
  if (trace) Plotly.Fx.hover(plot, {xval: trace.x[point.pointNumber], yval: trace.y[point.pointNumber]}, 'xy', true);
};
const link = () => plots().forEach(plot => {
  if (!plot?.on || plot.linked) return;
  plot.linked = true;
  const others = () => plots().filter(other => other && other !== plot && other.data?.length === plot.data.length);
  plot.on('plotly_hover', event => {
    if (event.event) others().forEach(other => hover(other, event.points[0]));
  });
  plot.on('plotly_unhover', event => { if (event.event) others().forEach(other => Plotly.Fx.unhover(other)); });
  const chosen = event => {
    const picked = event && plot.data.map((_, curve) => event.points.filter(p => p.curveNumber === curve)
      .map(p => p.pointNumber));
    plots().forEach(each => each && Plotly.restyle(each, {selectedpoints: picked ?? [null]}));
  };
  plot.on('plotly_selected', event => { if (event) chosen(event); });
  plot.on('plotly_deselect', () => chosen(null));
  plot.on('plotly_click', event => {
    const id = event.points[0]?.customdata;
    if (id !== undefined) trigger('select', {value: id, index: 1});
  });
  plot.on('plotly_afterplot', () => {
    if (plot.starred === element.textContent) return;
    plot.starred = element.textContent;
    stars();
  });
  stars();
});
new MutationObserver(stars).observe(element, {childList: true, subtree: true});
setInterval(link, 500);
"""
"""Links the two maps: hovering or selecting in one does the same in the other, and a click sends the text's number."""


def groups(studio: Studio, name: str, colour: str) -> dict[str, list[int]]:
    """Return the ids of the texts by group: by the values of a tag, by cluster, or all in one."""
    index = studio.indexes.open(name)
    if colour == PLAIN:
        return {"texts": list(range(len(index)))}
    if colour == CLUSTER:
        numbers = studio.clusters(name, CLUSTERS)
        labels = [f"cluster {number + 1}" for number in numbers]
    else:
        labels = [tags.get(colour) or "none" for tags in index.corpus.tags]
    found: dict[str, list[int]] = {label: [] for label in sorted(set(labels))}
    for at, label in enumerate(labels):
        found[label].append(at)
    return found


def colourings(index: SentenceIndex) -> list[str]:
    """Return what may colour a map: tags with 2 to MOST_GROUPS values, then clusters, then nothing."""
    names = {tag: {tags.get(tag, "") for tags in index.corpus.tags} for tag in index.corpus.tags[0]}
    return [*(tag for tag, values in names.items() if 2 <= len(values) <= MOST_GROUPS), CLUSTER, PLAIN]


def map_chart(plane: Plane, texts: Sequence[str], parts: Mapping[str, list[int]], variant: str) -> PlotData:
    """Draw one model's map: a trace per group, then the query's star, which the page puts in its place."""
    traces: list[dict[str, Any]] = []
    for number, (name, ids) in enumerate(parts.items()):
        colour = COLOURS[variant] if len(parts) == 1 else PALETTE[number % len(PALETTE)]
        symbol = ("circle", "diamond", "square")[number // len(PALETTE) % 3]
        traces.append(
            {
                "type": "scattergl",
                "mode": "markers",
                "name": escape(name),
                "x": plane.points[ids, 0].round(3).tolist(),
                "y": plane.points[ids, 1].round(3).tolist(),
                "customdata": ids,
                "text": [escape(texts[i][:90]) for i in ids],
                "hovertemplate": "%{text}<extra>%{fullData.name}</extra>",
                "marker": {"size": 6 if len(texts) < 3000 else 4, "color": colour, "symbol": symbol, "opacity": 0.8},
                "unselected": {"marker": {"opacity": 0.12}},
            }
        )
    star = {"symbol": "star", "size": 17, "color": STAR, "line": {"color": "#ffffff", "width": 1.5}}
    traces.append({"type": "scattergl", "mode": "markers", "name": "query", "x": [None], "y": [None], "marker": star,
                   "hovertemplate": "the query<extra></extra>", "showlegend": False})  # fmt: skip
    axis = {"showticklabels": False, "showgrid": False, "ticks": "", "title": {"text": ""}}
    return figure(
        traces, xaxis=axis, yaxis={**axis, "scaleanchor": "x"}, height=430, dragmode="pan", showlegend=False,
        hovermode="closest", uirevision=variant,
    )  # fmt: skip


def _kept(planes: Mapping[str, Plane], method: str) -> str:
    shares = " and ".join(f"{plane.kept:.0%} ({MODEL_NAMES[variant]})" for variant, plane in planes.items())
    return note(f"{method}. Of each text's ten nearest texts, the map keeps {shares} among its ten nearest points.")


def drawn(studio: Studio, name: str, colour: str) -> Iterator[list[Any]]:
    """Yield the status as HTML and both models' charts: principal components at once, then t-SNE when it is ready."""
    if not name:
        raise InputError("There is no index yet: build one from your own text in the Search tab.")
    waiting = [gr.skip()] * len(MODEL_NAMES)
    index: SentenceIndex | None = None
    for line, index in worked(lambda report: studio.embed_index(name, report)):
        if index is None and line:
            yield [say(line), *waiting]
    assert index is not None  # noqa: S101 - the last item of `worked` is the result
    colour = colour if colour in colourings(index) else colourings(index)[0]
    parts = groups(studio, name, colour)

    def charts(planes: Mapping[str, Plane]) -> list[Any]:
        return [
            gr.update(value=map_chart(planes[variant], index.corpus.texts, parts, variant), visible=True)
            if variant in planes
            else gr.update(visible=False)
            for variant in MODEL_NAMES
        ]

    if not studio.map_known(name):
        first = studio.map(name, near=False)
        yield [_kept(first, "Principal components (PCA)") + say("Arranging neighbours …"), *charts(first)]
        for line, _ in worked(lambda report: studio.map(name, report, near=True)):
            if line:
                yield [_kept(first, "Principal components (PCA)") + say(line), *waiting]
    planes = studio.map(name, near=True)
    yield [_kept(planes, "t-SNE"), *charts(planes)]


def asked(studio: Studio, name: str, query: str) -> str:
    """Return both models' hits for a query, and where it stands on both maps, as HTML."""
    planes = studio.map(name, near=studio.map_known(name))
    found = studio.search(query, name, K + 1)
    spots = {variant: place(planes[variant], [ranked.hit.id for ranked in hits]) for variant, hits in found.items()}
    shown = {v: [(hit, "") for hit in hits if hit.hit.text != query][:K] for v, hits in found.items()}
    stars = f'<div data-stars="{escape(json.dumps(spots))}"></div>'
    about = note("The star stands between the three texts nearest to the query. Click a point for more like it.")
    return about + hit_cards(shown, studio.adapter) + stars


def build_map_tab(context: Context, tab: gr.Tab, index: gr.Dropdown, query: gr.Textbox) -> None:
    """Add the tab's widgets and events to `tab`; `index` and `query` are those of the Search tab."""
    adapters = context.adapters

    def draw(name: str, colour: str, adapter: str) -> Iterator[list[Any]]:
        yield from drawn(adapters.choose(adapter), name, colour)

    def answer(name: str, text: str, adapter: str) -> str:
        return asked(adapters.choose(adapter), name, text)

    def pressed(event: gr.SelectData, name: str) -> str:
        point = event.index == 1  # and 0 for a button, which sends its text
        return adapters.indexes.open(name).corpus.texts[int(event.value)] if point else str(event.value)

    def offer(name: str) -> Any:
        found = colourings(adapters.indexes.open(name)) if name else [PLAIN]
        return gr.update(choices=found, value=found[0])

    def known(request: gr.Request, name: str | None) -> Any:
        return gr.update(choices=choices(adapters, visitor_of(request)), value=name)

    def files(name: str, adapter: str) -> tuple[str, Any]:
        studio = adapters.choose(adapter)
        made = index_files(studio.embed_index(name), studio.encoder.recipes, studio.map(name, near=True))
        return say("Ready below."), gr.update(value=made, visible=True)

    gr.Markdown("Each point is a text of the index. Hover or select in one map to find the same texts in the other.")
    with gr.Row(equal_height=True):
        text = gr.Textbox(query.value, label="Query (the star)", scale=4, min_width=320, elem_id="map-query")
        own = gr.Dropdown(index.choices, value=index.value, label="Index", scale=2, min_width=190, elem_id="map-index")
        first = colourings(adapters.indexes.open(index.value)) if index.value else [PLAIN]
        colour = gr.Dropdown(first, value=first[0], label="Colour", scale=2, min_width=160, elem_id="map-colour")
    run = gr.Button("Draw the maps", variant="primary", elem_id="map-run")
    status = gr.HTML(say("Drawing the maps …"), elem_id="map-status", label="Progress")
    with gr.Row():
        charts = [gr.Plot(label=name, visible=False, min_width=300, elem_id=f"map-{variant}")
                  for variant, name in MODEL_NAMES.items()]  # fmt: skip
    out = gr.HTML(elem_id="map-out", label="Hits", js_on_load=SEND + _LINKED)
    with gr.Accordion("Take it along", open=False, elem_id="map-files"):
        gr.Markdown("PNG: the camera above each map. Parquet, for Embedding Atlas: texts, tags, both maps' coordinates "
                    "and vectors. NPY: one file of vectors per model, in the order of the texts.")  # fmt: skip
        prepare = gr.Button("Prepare Parquet and NPY", elem_id="map-prepare")
        prepared = gr.HTML(elem_id="map-prepared", label="Message")
        taken = gr.File(label="Files", visible=False, file_count="multiple", elem_id="map-taken")
    context.links.add("map", names={"index": adapters.indexes.names}, query=text, index=own, colour=colour)
    settings = [own, colour, context.adapter]
    drawing = ask([run.click, text.submit, tab.select], draw, settings, [status, *charts], **LONG)
    asking = [out.select(pressed, own, text, **PRIVATE), drawing]
    ask([], answer, [own, text, context.adapter], out, asking)
    ask([prepare.click], files, [own, context.adapter], [prepared, taken], **LONG)
    own.change(offer, own, colour, **PRIVATE)
    ask([colour.input], draw, settings, [status, *charts], **LONG)
    grey_out([context.adapter.change, own.change], [out], [*charts, taken])
    context.page.load(known, own, own, **PRIVATE)
    index.change(known, index, own, **PRIVATE)
    query.change(None, query, text, js="(text) => text", **PRIVATE)
