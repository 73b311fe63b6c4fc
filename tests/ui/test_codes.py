"""What matched and what two sentences share, as HTML: parts told, the rest summed, every text escaped."""

from sempa.embedding.index import Hit
from sempa.embedding.ranking import RankedHit
from sempa.service.sparse_search import CodedHit, CodedPair, Part
from sempa.ui.codes import SHOWN, coded_cards, frontier, shared_cards

PARTS = [Part(f"feature {i}", (f"text {i}",), 0.1 - 0.01 * i) for i in range(SHOWN + 2)]


def test_a_hit_tells_the_largest_parts_and_the_rest_as_a_sum() -> None:
    hit = CodedHit(RankedHit(Hit(3, "The cat is fast.", 0.52, 1, {}), 2), PARTS)
    view = coded_cards({"base": [hit], "sempa": [hit]}, "mine")
    assert view.count('<span class="sp-part"') == 2 * (SHOWN + 1)
    assert "feature 0 <b>0.100</b>" in view
    assert f"feature {SHOWN}" not in view
    assert f"2 more <b>{sum(part.size for part in PARTS[SHOWN:]):.3f}</b>" in view
    assert "most active in: text 0" in view


def test_a_pair_tells_what_is_shared_and_what_is_not() -> None:
    pair = CodedPair(0.3, [Part("bread", (), 0.2), Part("oven", (), 0.1)], [Part("cat", (), 0.4)], [])
    view = shared_cards({"base": pair}, "")
    assert "0.300" in view
    assert view.index("bread") < view.index("oven") < view.index("A alone") < view.index("cat")
    assert view.index("B alone") < view.index("<em>nothing</em>")


def test_names_and_texts_of_features_are_escaped() -> None:
    part = Part("<b>&", ('"><script>',), 0.2)
    view = shared_cards({"base": CodedPair(0.2, [part], [], [])}, "")
    assert "<script>" not in view
    assert "&lt;b&gt;&amp;" in view


def test_the_frontier_has_a_line_a_model_and_kind() -> None:
    codes = [
        {"coder": kind, "k": k, "spearman": 50 + k, "ndcg": 20 + k, "ndcg_queries_as_texts": 19, "bytes_a_text": 5 * k}
        for kind in ("words", "features")
        for k in (8, 16)
    ]
    model = {
        "dense": {"spearman": 80.0, "ndcg": 40.0, "bytes_a_text": 2304, "uniformity": -1.5, "isotropy": 0.2},
        "codes": codes,
    }
    about = {"text": "as it is", "pairs": "stsb-test", "retrieval": "captions", "hardware": "two cores"}
    about["adapters"] = {"mine": "abc", "other": "def"}
    view = frontier({"kind": "frontier", "models": {"base": model, "mine": model, "other": model}, **about}, "abc")
    assert view.count("<svg") == 2
    assert view.count("<polyline") == 8
    assert view.count("<circle") == 16
    assert "mine, features" in view
    assert "other" not in view, "neither drawn nor in the table"
    assert "dense: base 80.0, mine 80.0" in view
