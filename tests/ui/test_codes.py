"""Matching and shared parts as HTML: largest parts named, the rest summed, all text escaped."""

from sempa.sparse.search import Part, SparsePair
from sempa.ui.codes import SHOWN, matched_parts, shared_cards

PARTS = [Part(f"feature {i}", (f"text {i}",), 0.1 - 0.01 * i) for i in range(SHOWN + 2)]


def test_a_hit_tells_the_largest_parts_and_the_rest_as_a_sum() -> None:
    view = matched_parts(PARTS)
    assert view.count('<span class="sp-part"') == SHOWN + 1
    assert "feature 0 <b>0.100</b>" in view
    assert f"feature {SHOWN}" not in view
    assert f"2 more <b>{sum(part.size for part in PARTS[SHOWN:]):.3f}</b>" in view
    assert "most active in: text 0" in view


def test_a_pair_tells_what_is_shared_and_what_is_not() -> None:
    pair = SparsePair(0.3, [Part("bread", (), 0.2), Part("oven", (), 0.1)], [Part("cat", (), 0.4)], [])
    view = shared_cards({"base": pair}, "")
    assert "0.300" in view
    assert view.index("bread") < view.index("oven") < view.index("A alone") < view.index("cat")
    assert view.index("B alone") < view.index("<em>nothing</em>")


def test_names_and_texts_of_features_are_escaped() -> None:
    part = Part("<b>&", ('"><script>',), 0.2)
    view = shared_cards({"base": SparsePair(0.2, [part], [], [])}, "")
    assert "<script>" not in view
    assert "&lt;b&gt;&amp;" in view
