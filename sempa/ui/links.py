"""Links and code that hold a tab's inputs, so that others see the same answer."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import gradio as gr

from sempa.errors import InputError
from sempa.service.limits import MAX_CHARACTERS
from sempa.ui.events import PRIVATE, as_text, for_people
from sempa.ui.snippets import snippets

LONGEST = 6_000
"""Maximum characters of a link; servers and proxies refuse much longer ones."""
TAB = "tab"
_RENAMED = {"compare": "chat"}
"""Tabs by their names in older links."""
EVERYWHERE = ""
"""Tab name of fields that every link holds."""

_COMPOSE = """
(_, ...values) => {
  const fields = FIELDS;
  const tab = document.querySelector('button[role="tab"][aria-selected="true"]').textContent.trim().toLowerCase();
  const link = new URL(window.location.href);
  link.search = link.hash = '';
  link.searchParams.set('tab', tab);
  fields.forEach(([of, name], i) => {
    if (of === tab || of === '') link.searchParams.set(name, values[i]);
  });
  return [link.href, ...values];
}
"""
_ADDRESS = """
(...values) => {
  const tab = document.querySelector('button[role="tab"][aria-selected="true"]').textContent.trim().toLowerCase();
  const here = new URL(window.location.href), fields = FIELDS;
  const turned = here.searchParams.get('tab') !== tab;
  ['tab', ...fields.map(([_, name]) => name)].forEach(name => here.searchParams.delete(name));
  here.searchParams.set('tab', tab);
  const bare = here.href;
  fields.forEach(([of, name], i) => {
    const shared = values[i] !== null && !String(values[i]).startsWith('~');
    if (shared && (of === tab || of === '')) here.searchParams.set(name, values[i]);
  });
  const link = here.href.length > LONGEST ? bare : here.href;
  if (link !== window.location.href) window.history[turned ? 'pushState' : 'replaceState'](null, '', link);
}
"""
"""Keeps the present view in the address bar: a new entry for another tab, the same entry for other inputs."""
_BACK = """
() => window.addEventListener('popstate', () => {
  const tab = new URL(window.location.href).searchParams.get('tab');
  const tabs = [...document.querySelectorAll('[role="tab"]')];
  (tabs.find(each => each.textContent.trim().toLowerCase() === tab) ?? tabs[0])?.click();
})
"""
_HIDE = "() => ({__type__: 'update', visible: false})"
_RUN = """
(tab) => {
  const press = (left) => {
    const button = document.querySelector(`#${tab}-run`);
    if (button) button.click(); else if (left) setTimeout(press, 100, left - 1);
  };
  if (tab) press(100);
}
"""
"""Presses the run button of the tab that a link opened, once it exists."""


_CODES = {"python": "Python", "curl": "curl, in a shell"}


@dataclass(frozen=True)
class Field:
    """Describe a tab's component in links; `names` returns the choices of a dropdown that changes."""

    tab: str
    name: str
    component: Any
    names: Callable[[], list[str]] | None = None

    def read(self, text: str) -> Any:
        """Convert a link's text to the component's value.

        Raises: InputError, naming the field, for a value that the component does not allow.
        """
        component = self.component
        if isinstance(component, gr.Slider | gr.Number):
            try:
                number = component.preprocess(float(text))
            except ValueError:
                number = None
            if number is None or isinstance(number, InputError):
                raise InputError(f"The link's {self.name} is {text[:40]!r}: it was ignored.")
            return number
        if isinstance(component, gr.Dropdown) and not component.allow_custom_value:
            known = self.names() if self.names else [value for _, value in component.choices]
            if text not in known:
                raise InputError(f"The link's {self.name} is {text[:80]!r}, which does not exist here.")
            return gr.update(choices=known, value=text) if self.names else text
        if len(text) > MAX_CHARACTERS:
            raise InputError(f"The link's {self.name} has more than {MAX_CHARACTERS:,} characters: it was ignored.")
        return text


class Links:
    """Collect the tabs' fields as they are built, then add the buttons for a link and for code below them."""

    def __init__(self) -> None:
        self._fields: list[Field] = []
        self._tabs: set[str] = set()

    def add(self, tab: str, *, names: Mapping[str, Callable[[], list[str]]] | None = None, **components: Any) -> None:
        """Add a tab and its components by name to links; `names` maps some to functions that return their choices."""
        self._tabs.add(tab)
        changing = names or {}
        self._fields += [Field(tab, name, part, changing.get(name)) for name, part in components.items()]

    def build(self, page: gr.Blocks, tabs: gr.Tabs) -> None:
        """Add the buttons and their events to the page."""
        with gr.Row(elem_id="link-row"):
            button = gr.Button("Link to this view", size="sm", elem_id="link-make", scale=0, min_width=180)
            code = gr.Button("Use from Python or curl", size="sm", elem_id="code-make", scale=0, min_width=180)
            link = gr.Textbox(
                label="This link asks the same question again",
                visible=False,
                buttons=["copy"],
                elem_id="link",
            )
        written = [
            gr.Textbox(label=label, visible=False, interactive=False, buttons=["copy"], elem_id=f"code-{kind}")
            for kind, label in _CODES.items()
        ]
        opened = gr.Textbox(visible=False)
        components = [field.component for field in self._fields]
        named = json.dumps([[field.tab, field.name] for field in self._fields])
        compose = _COMPOSE.replace("FIELDS", named)
        button.click(for_people(self.shown), [link, *components], link, js=compose, **PRIVATE)
        code.click(for_people(self.coded), [link, *components], written, js=compose, **PRIVATE)
        tabs.change(None, None, link, js=_HIDE, **PRIVATE)
        changed = [tabs.change, *(part.change for part in components)]
        gr.on(changed, None, None, written, js=f"() => Array({len(written)}).fill(({_HIDE})())", **PRIVATE)
        address = _ADDRESS.replace("FIELDS", named).replace("LONGEST", str(LONGEST))
        gr.on(changed, None, components, None, js=address, **PRIVATE)
        page.load(None, None, None, js=_BACK, **PRIVATE)
        reading = page.load(self._read, None, [opened, tabs, *components], **PRIVATE)
        reading.then(None, opened, None, js=_RUN, **PRIVATE)

    def shown(self, link: str, *values: Any) -> dict[str, Any]:
        """Return the update of the link's text field, given the values of all fields.

        Raises: InputError if the link is too long, names a private index, or the tab has no links.
        """
        if len(link) > LONGEST:
            raise InputError("The text is too long for a link: shorten it.")
        self._asked(link, values, "links")
        return gr.update(value=link, visible=True)

    def coded(self, link: str, *values: Any) -> list[dict[str, Any]]:
        """Return the updates of the text fields for Python and curl, given the values of all fields.

        Raises: InputError if the tab has no endpoint, or names a private index.
        """
        tab, fields = self._asked(link, values, "endpoint")
        address = urlsplit(link)._replace(query="").geturl().rstrip("/")
        return [gr.update(value=text, visible=True) for text in snippets(tab, address, fields)]

    def _asked(self, link: str, values: Sequence[Any], what: str) -> tuple[str, dict[str, Any]]:
        """Return the tab of a link, and its fields by name.

        Raises: InputError if the tab has no links, or a field is private.
        """
        tab = "".join(parse_qs(urlsplit(link).query).get(TAB, ()))
        if tab not in self._tabs - {EVERYWHERE}:
            raise InputError(f"This tab has no {what}: choose another one first.")
        asked = {}
        for field, value in zip(self._fields, values, strict=True):
            if field.tab in (tab, EVERYWHERE):
                if field.names and value not in field.names():
                    raise InputError(f"Your {field.name} is private: make it public first, or choose another.")
                asked[field.name] = value
        return tab, asked

    def _read(self, request: gr.Request) -> list[Any]:
        asked = dict(request.query_params)
        tab = _RENAMED.get(asked.get(TAB, ""), asked.get(TAB, ""))
        if tab not in self._tabs - {EVERYWHERE}:
            return [gr.skip()] * (2 + len(self._fields))
        return [tab, gr.update(selected=tab), *(self._value(field, tab, asked) for field in self._fields)]

    def _value(self, field: Field, tab: str, asked: Mapping[str, str]) -> Any:
        if field.tab not in (tab, EVERYWHERE) or field.name not in asked:
            return gr.skip()
        try:
            return field.read(asked[field.name])
        except InputError as error:
            gr.Warning(as_text(error))
            return gr.skip()
