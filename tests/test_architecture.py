"""Who may import whom: the table is the architecture document."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# First match by longest prefix. "own" names modules of this project, "packages" everything from outside the
# standard library.
RULES: dict[str, tuple[set[str], set[str]]] = {
    # ground
    "sempa": ({"config", "errors", "models.pair", "reading.encoder", "reading.index"}, set()),  # for type checkers
    "sempa.errors": (set(), set()),
    "sempa.percent": (set(), set()),
    "sempa.whole": ({"errors"}, set()),
    "sempa.templates": ({"errors"}, set()),
    "sempa.config": ({"errors", "percent", "templates"}, set()),
    "sempa.machine": (set(), {"torch"}),
    "sempa.models": (
        {"config", "errors", "models", "percent", "templates", "whole"},
        {"torch", "transformers", "peft", "safetensors", "huggingface_hub", "datasets", "jinja2"},
    ),
    # wings: none knows another
    "sempa.reading": (
        {"config", "errors", "models", "reading", "templates", "whole"},
        {"numpy", "safetensors", "torch"},
    ),
    "sempa.reading.export": (
        {"errors", "models", "reading", "templates", "whole"},
        {"numpy", "safetensors", "sentence_transformers", "torch", "transformers"},
    ),
    "sempa.reading.index": ({"config", "errors", "models", "reading"}, {"numpy", "scipy"}),
    "sempa.reading.codes": ({"errors"}, {"numpy", "scipy", "torch"}),
    "sempa.reading.coders": (
        {"config", "errors", "models", "reading", "whole"},
        {"numpy", "safetensors", "scipy", "torch"},
    ),
    "sempa.reading.vectors": ({"errors"}, {"numpy", "faiss"}),
    "sempa.reading.parquet": ({"config", "errors"}, {"numpy", "pyarrow"}),
    "sempa.reading.row_file": ({"errors"}, {"numpy"}),
    "sempa.reading.build": ({"errors", "models", "reading"}, {"scipy", "torch"}),
    "sempa.reading.texts": ({"errors"}, set()),
    "sempa.writing": ({"errors", "models"}, {"torch"}),
    "sempa.learning": ({"config", "errors", "learning", "models"}, {"torch", "safetensors"}),
    "sempa.learning.preferences": ({"config", "errors", "templates"}, set()),
    "sempa.learning.exports": ({"errors", "learning", "templates", "whole"}, set()),
    "sempa.learning.plot": (set(), {"matplotlib"}),
    "sempa.learning.losses": (set(), {"torch"}),
    "sempa.learning.card": ({"config", "models.source", "percent"}, set()),
    "sempa.evidence": ({"config", "errors", "evidence", "percent"}, {"numpy"}),
    "sempa.evidence.generation": ({"config", "errors", "evidence", "models"}, {"datasets", "lm_eval", "numpy"}),
    "sempa.evidence.harness": ({"models"}, {"lm_eval"}),
    "sempa.evidence.judge": ({"errors", "evidence"}, {"numpy", "sentence_transformers"}),
    "sempa.evidence.paired": (set(), {"numpy", "scipy"}),
    "sempa.evidence.paraphrasing": ({"config", "errors", "evidence", "models", "templates"}, {"numpy"}),
    "sempa.evidence.retrieval": ({"errors", "evidence"}, {"numpy", "pytrec_eval", "scipy"}),
    "sempa.evidence.tokens": ({"errors"}, {"snowballstemmer"}),
    "sempa.evidence.metrics": ({"errors"}, {"numpy", "scipy"}),
    "sempa.evidence.matrix": ({"errors"}, {"numpy", "scipy"}),
    "sempa.evidence.sts": ({"errors", "evidence"}, {"numpy", "scipy"}),
    # face
    "sempa.shelf": ({"config", "errors", "reading"}, {"numpy"}),
    "sempa.limits": ({"errors"}, set()),
    "sempa.coded": ({"config", "errors", "limits", "reading", "shelf", "studio"}, {"scipy"}),
    "sempa.studio": (
        {"config", "errors", "evidence", "limits", "models", "percent", "reading", "shelf", "templates", "writing"},
        {"numpy"},
    ),
    "sempa.desk": ({"config", "errors", "learning.runs"}, set()),
    "sempa.studios": ({"errors", "reading", "shelf", "studio"}, set()),
    "sempa.tune": (
        {"config", "errors", "evidence", "learning", "machine", "models", "reading", "training_data"},
        {"torch"},
    ),
    "sempa.training_data": ({"config", "errors", "evidence", "learning", "models"}, set()),
    "sempa.blend": ({"config", "learning", "models", "whole"}, set()),
    "sempa.outcomes": ({"config", "machine", "reading"}, {"numpy"}),
    "sempa.peers": ({"config", "evidence", "models", "outcomes", "reading", "templates"}, {"numpy"}),
    "sempa.sparse": (
        {"config", "errors", "evidence", "learning", "machine", "models", "outcomes", "reading"},
        {"numpy", "scipy", "torch"},
    ),
    "sempa.measure": (
        {"errors", "evidence", "learning.preferences", "machine", "models", "outcomes", "peers", "reading"},
        {"numpy"},
    ),
    "sempa.arguments": ({"config"}, set()),
    "sempa.cli": (
        {
            "arguments",
            "config",
            "errors",
            "evidence",
            "limits",
            "measure",
            "percent",
            "models",
            "reading",
            "sparse",
            "studio",
            "coded",
            "blend",
        },
        set(),
    ),
    "sempa.__main__": ({"cli"}, set()),
    "sempa.ui": (
        {
            "coded",
            "config",
            "desk",
            "errors",
            "evidence",
            "limits",
            "machine",
            "models",
            "percent",
            "shelf",
            "studio",
            "studios",
            "templates",
            "ui",
            "writing",
        },
        {"gradio"},
    ),
    "sempa.ui.openai_routes": ({"config", "errors", "limits", "studios", "ui"}, {"anyio", "numpy", "starlette"}),
    "sempa.ui.train": ({"config", "desk", "errors", "studios", "training_data", "tune", "ui"}, {"gradio"}),
    "sempa.ui.events": ({"errors"}, {"gradio", "spaces"}),
    "sempa.ui.own_index": ({"errors", "limits", "reading.texts", "shelf", "studio", "studios", "ui"}, {"gradio"}),
    "sempa.ui.plots": (set(), set()),
    "sempa.ui.heat": ({"evidence", "ui"}, {"matplotlib", "numpy"}),
    "sempa.ui.evidence": ({"evidence", "percent", "ui"}, set()),
    "sempa.ui.present": ({"evidence", "percent", "studio", "templates"}, set()),
    "sempa.ui.style": (set(), set()),
    "sempa.ui.downloads": (set(), set()),
    "sempa.ui.streaming": ({"ui", "writing"}, set()),
    "app": ({"arguments", "cli", "desk", "errors", "models.adapters", "studios", "ui"}, {"spaces"}),
    "train": ({"config", "errors", "models.publish", "tune"}, {"tqdm"}),
}
WITHOUT_TORCH = [
    "sempa",
    "sempa.errors",
    "sempa.templates",
    "sempa.config",
    "sempa.arguments",
    "sempa.cli",
    "sempa.learning.preferences",
    "sempa.learning.exports",
]


def _modules() -> dict[str, Path]:
    files = [ROOT / "app.py", ROOT / "train.py", *(ROOT / "sempa").rglob("*.py")]
    names = {path: ".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files}
    return {name.removesuffix(".__init__"): path for path, name in names.items()}


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} uses a relative import"
            found.add(node.module or "")
    return found


def _rule(module: str) -> tuple[set[str], set[str]]:
    return RULES[max((key for key in RULES if module == key or module.startswith(key + ".")), key=len)]


@pytest.mark.parametrize("module", sorted(_modules()))
def test_imports_follow_the_table(module):
    own, packages = _rule(module)
    for name in _imports(_modules()[module]):
        if name.split(".")[0] == "sempa":
            inner = name.removeprefix("sempa").removeprefix(".")
            allowed = any(inner == room or inner.startswith(room + ".") for room in own)
            assert allowed or not inner, f"{module} may not import {name}"
        elif name.split(".")[0] not in sys.stdlib_module_names:
            assert name.split(".")[0] in packages, f"{module} may not import {name}"


def test_wings_do_not_know_each_other():
    """The table itself must not be edited into a tangle."""
    wings = {"reading", "writing", "learning", "evidence"}
    for module, (own, _) in RULES.items():
        home = module.removeprefix("sempa.").split(".")[0]
        if home in wings | {"models", "config", "errors", "templates"}:
            assert not {room.split(".")[0] for room in own} & (wings - {home}), module


@pytest.mark.parametrize("module", WITHOUT_TORCH)
def test_light_modules_import_no_heavy_package_at_top_level(module):
    tree = ast.parse(_modules()[module].read_text(encoding="utf-8"))
    heavy = {"torch", "transformers", "gradio", "faiss", "numpy", "scipy"}
    for node in tree.body:
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else [getattr(node, "module", None) or ""]
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            assert not {name.split(".")[0] for name in names} & heavy, module


def _definitions(node: ast.AST) -> Iterator[ast.ClassDef | ast.FunctionDef]:
    """Yield what a module or class defines; what a function defines inside is its own affair."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.ClassDef, ast.FunctionDef)):
            yield child
        if not isinstance(child, ast.FunctionDef):
            yield from _definitions(child)


def test_every_public_name_has_a_docstring():
    missing = []
    for module, path in _modules().items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        missing += [module] * (not ast.get_docstring(tree))
        missing += [
            f"{module}.{node.name}"
            for node in _definitions(tree)
            if not node.name.startswith("_") and not ast.get_docstring(node)
        ]
    assert missing == []
