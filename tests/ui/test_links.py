"""Links accept only values that a visitor could have chosen."""

import gradio as gr
import pytest

from sempa.errors import InputError
from sempa.service.limits import MAX_CHARACTERS
from sempa.ui.events import seed_field, slider
from sempa.ui.links import Field, Links

with gr.Blocks():
    SLIDER = Field("t", "k", slider(1, 20, 5, "Hits"))
    NUMBER = Field("t", "seed", seed_field(7))
    CHOICE = Field("t", "index", gr.Dropdown(["demo", ("Shown", "own")], value="demo"))
    FREE = Field("t", "template", gr.Dropdown(["P1"], value="P1", allow_custom_value=True))
    TEXT = Field("t", "a", gr.Textbox())


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        (SLIDER, "3", 3),
        (NUMBER, "7", 7),
        (CHOICE, "own", "own"),
        (Field("t", "index", CHOICE.component, lambda: ["new"]), "new", gr.update(choices=["new"], value="new")),
        (FREE, "Say {sentence}", "Say {sentence}"),
        (TEXT, "<b>Größe</b> & 漢字", "<b>Größe</b> & 漢字"),
    ],
)
def test_a_value_comes_back_as_it_was(field: Field, text: str, value: object) -> None:
    assert field.read(text) == value
    assert type(field.read(text)) is type(value)


@pytest.mark.parametrize(
    ("field", "text"),
    [
        (SLIDER, "21"),
        (SLIDER, "3.5"),
        (NUMBER, "-7"),
        (SLIDER, "0"),
        (SLIDER, "nan"),
        (SLIDER, "inf"),
        (NUMBER, "1e300"),
        (NUMBER, "x"),
        (CHOICE, "../demo"),
        (CHOICE, "Shown"),
        (FREE, "x" * (MAX_CHARACTERS + 1)),
        (TEXT, "x" * (MAX_CHARACTERS + 1)),
    ],
)
def test_a_value_nobody_could_have_chosen_is_refused(field: Field, text: str) -> None:
    with pytest.raises(InputError, match=rf"link.*{field.name}"):
        field.read(text)


def test_a_link_names_nothing_that_is_the_visitor_s_alone() -> None:
    links = Links()
    links.add("search", names={"index": lambda: ["demo"]}, index=CHOICE.component)
    links.add("similarity", a=TEXT.component)
    link = "http://127.0.0.1:7860/?tab=search&index=demo"
    assert links.shown(link, "demo", "x")["value"] == link
    with pytest.raises(InputError, match="index is private"):
        links.shown(link.replace("demo", "~visitor/notes"), "~visitor/notes", "x")
    with pytest.raises(InputError, match="This tab has no links"):
        links.shown("http://127.0.0.1:7860/?tab=train", "demo", "x")
    links.add("evidence")
    without_fields = "http://127.0.0.1:7860/?tab=evidence"
    assert links.shown(without_fields, "demo", "x")["value"] == without_fields
    of_another_tab = "http://127.0.0.1:7860/?tab=similarity&a=x"
    assert links.shown(of_another_tab, "~visitor/notes", "x")["value"] == of_another_tab
