"""The Map tab: every text is a point of both maps, in the same order, coloured by its tag or cluster."""

import html
import json
import re

import numpy as np
import pytest

from sempa.errors import InputError
from sempa.service.maps import Plane, place
from sempa.service.studio import Studio
from sempa.ui.map import CLUSTER, PLAIN, asked, colourings, groups, map_chart


def test_both_maps_have_every_text_in_the_same_order(studio: Studio) -> None:
    planes = studio.map("demo", near=False)
    texts = studio.indexes.open("demo").corpus.texts
    parts = groups(studio, "demo", CLUSTER)
    assert sorted(i for ids in parts.values() for i in ids) == list(range(len(texts)))
    drawn = {variant: json.loads(map_chart(plane, texts, parts, variant).plot) for variant, plane in planes.items()}
    points = [[trace.get("customdata") for trace in one["data"]] for one in drawn.values()]
    assert points[0] == points[1] == [*parts.values(), None]
    base = drawn["base"]["data"][0]
    assert np.c_[base["x"], base["y"]] == pytest.approx(planes["base"].points[base["customdata"]], abs=1e-3)
    assert "selectpoints" not in drawn["base"]["config"].get("modeBarButtonsToRemove", [])


def test_the_colours_are_tags_with_several_values_then_clusters(studio: Studio) -> None:
    assert colourings(studio.indexes.open("demo")) == [CLUSTER, PLAIN]  # all nine have one topic
    assert list(groups(studio, "demo", PLAIN)) == ["texts"]


def test_the_star_stands_among_the_nearest_texts(studio: Studio) -> None:
    view = asked(studio, "demo", "The hare is fast.")
    stars = json.loads(html.unescape(re.search('data-stars="(.*?)"', view)[1]))
    planes = studio.map("demo", near=False)
    nearest = [hit.hit.id for hit in studio.search("The hare is fast.", "demo", 3)["base"]]
    assert stars["base"] == pytest.approx(np.median(planes["base"].points[nearest], axis=0), abs=1e-5)
    assert view.count("More like this: ") == 10
    assert "More like this: The hare is fast." not in view
    assert place(Plane(np.array([[0, 0], [2, 4], [9, 9]], np.float32), 1), [0, 1]) == (1, 2)


def test_an_index_too_small_for_a_map_is_refused(studio: Studio) -> None:
    from sempa.data.corpora import Corpus

    key = studio.indexes.put(studio.build_index(Corpus(("a", "b"), ({}, {}))), "two", "ada", public=False)
    with pytest.raises(InputError, match="has 2 texts: a map shows 5 to 20,000"):
        studio.map(key, near=False)
    studio.indexes.delete(key, "ada")
