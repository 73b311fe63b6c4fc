"""The direction of imports, and docstrings in every module."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

ROOMS = ["ui", "service", "training", "sparse", "evaluation", "embedding", "data", "models"]
"""Packages from top to bottom: each imports only itself, packages below it, and the ground modules."""
GROUND = {"errors", "config", "templates", "files", "losses", "machine"}
HOMES = {"gradio": "ui", "faiss": "embedding", "peft": "models"}
"""Third-party packages that only one package may import."""
WITHOUT_TORCH = [
    "sempa",
    "sempa.errors",
    "sempa.templates",
    "sempa.config",
    "sempa.embedding.command",
    "sempa.evaluation.command",
    "sempa.service.command",
    "sempa.sparse.command",
    "sempa.sparse.settings",
    "sempa.cli",
    "sempa.training.preferences",
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


def _room(module: str) -> str:
    return module.removeprefix("sempa.").split(".")[0]


@pytest.mark.parametrize("module", [name for name in sorted(_modules()) if _room(name) in {*ROOMS, *GROUND}])
def test_imports_run_one_way(module):
    room = _room(module)
    below = GROUND | set(ROOMS[ROOMS.index(room) :] if room in ROOMS else ())
    own = [name for name in _imports(_modules()[module]) if name.startswith("sempa.")]
    assert [name for name in own if _room(name) not in below] == []


@pytest.mark.parametrize(("package", "room"), HOMES.items())
def test_a_package_lives_in_its_room(package, room):
    users = {name for name, path in _modules().items() if package in {i.split(".")[0] for i in _imports(path)}}
    assert {_room(name) for name in users} == {room}


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
