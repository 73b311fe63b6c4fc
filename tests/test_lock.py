"""The locked versions: one for every requirement, inside its range, with hashes and without an index's address."""

import re
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
APART = {"torch"}
"""Packages whose file depends on the hardware, so that deployments install them first."""


def test_every_requirement_is_locked_inside_its_range() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pins = re.findall(r"^([\w.-]+)==(\S+)[^\\]*((?:\\\n +--hash=sha256:[0-9a-f]{64} ?)+)$", lock, re.MULTILINE)
    assert len(pins) == len(re.findall(r"^\w", lock, re.MULTILINE))
    versions: dict[str, list[str]] = {}
    for name, version, _ in pins:
        versions.setdefault(canonicalize_name(name), []).append(version)
    for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines():
        asked = Requirement(line)
        found = versions.get(canonicalize_name(asked.name), [])
        assert bool(found) != (asked.name in APART), asked.name
        assert all(version in asked.specifier for version in found), asked.name
    assert "://" not in lock
