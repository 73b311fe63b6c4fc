"""README and docs as data: their fenced blocks, and the commands in them."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
"""Pages for users; the tests run their code blocks."""
CHANGELOG = ROOT / "CHANGELOG.md"
WRITTEN = [
    *PAGES,
    CHANGELOG,
    *(ROOT / name for name in ("CONTRIBUTING.md", "results/README.md", "benchmarks/README.md")),
]

_BLOCK = re.compile(r"(?:<!-- not run: ([^\n]+?) -->\n)?```(\w*)\n(.*?)```", re.DOTALL)
_COMMAND = re.compile(r"(?:^|[ /])(?:python|accelerate launch .*?) ((?:-m sempa|app\.py|train\.py)(?: .*)?)$")


@dataclass(frozen=True)
class Block:
    """Hold a fenced block; `skip` is the reason, hidden from readers, for not running it."""

    page: str
    language: str
    text: str
    skip: str | None

    @property
    def commands(self) -> list[str]:
        """Return the block's calls of `-m sempa`, app.py and train.py, without the Python executable."""
        return [found[1] for line in self.text.splitlines() if (found := _COMMAND.search(line.partition("&&")[0]))]


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page, in order."""
    return [Block(page.name, lang, text, why or None) for why, lang, text in _BLOCK.findall(page.read_text("utf-8"))]


def prose(page: Path) -> str:
    """Return a page without front matter, comments, fenced blocks, tables and HTML."""
    text = page.read_text("utf-8")
    text = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)
    text = re.sub(r"```.*?```|<!--.*?-->", "", text, flags=re.DOTALL)
    return "\n".join(line for line in text.splitlines() if not line.startswith("|"))
