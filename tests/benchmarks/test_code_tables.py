"""Tables and pictures of sparse codes from a hand-made result."""

from typing import Any

from tables import drawn_table


def _code(kind: str, k: int, spearman: float, ndcg: float, size: float) -> dict[str, Any]:
    return {
        "coder": kind,
        "k": k,
        "spearman": spearman,
        "ndcg": ndcg,
        "ndcg_queries_as_texts": ndcg - 1,
        "bytes_a_text": size,
    }


CODES = [_code("words", 8, 50, 20, 41), _code("words", 32, 60, 30, 161), _code("features", 32, 76, 39, 160.4)]
MODEL = {
    "dense": {"spearman": 80.0, "ndcg": 40.0, "bytes_a_text": 2304, "uniformity": -1.5, "isotropy": 0.2},
    "codes": CODES,
}
RESULT: dict[str, Any] = {
    "kind": "frontier",
    "text": "as the file gives it",
    "pairs": "stsb-test",
    "retrieval": "captions",
    "models": {"base": MODEL, "mine": MODEL},
    "hardware": "two cores",
}


def test_codes_are_told_beside_dense_vectors() -> None:
    table = drawn_table(RESULT)
    assert table.rows[0] == ["base", "dense", "", "80.00", "40.00", "", "2,304", "-1.500", "0.200"]
    assert table.rows[1] == ["base", "words", "32", "60.00 (75.0%)", "30.00 (75.0%)", "29.00", "161 (7.0%)", "", ""]
    assert table.rows[2] == ["base", "features", "32", "76.00 (95.0%)", "39.00 (97.5%)", "38.00", "160 (7.0%)", "", ""]
    assert [row[0] for row in table.rows] == ["base"] * 3 + ["mine"] * 3
    assert table.about.endswith("two cores.")


def test_sparse_search_is_told_as_a_multiple_of_dense() -> None:
    def rates(one: float, together: float, size: int) -> dict[str, Any]:
        how = {"one by one": one, "together": together}
        return {"bytes": size, **{name: {"queries_a_second": {"median": rate}} for name, rate in how.items()}}

    speed = {
        "kind": "sparse-search",
        "rates": {"dense": rates(8, 100, 2**30), "features, k = 32": rates(64, 80, 2**26)},
        "texts": 1_000_000,
        "model": "mine",
        "queries": 100,
        "threads": 2,
    }
    table = drawn_table(speed)
    assert table.rows[0] == ["dense", "8.0", "100.0", "1,024 MiB", "100.0%"]
    assert table.rows[1] == ["features, k = 32", "64.0 (x 8.0)", "80.0 (x 0.8)", "64 MiB", "6.2%"]
    assert "1,000,000 texts" in table.about
