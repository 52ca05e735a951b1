"""Reading our own documentation: fenced blocks, links, paths."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from support.demo import ROOT

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<body>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")
_PATH = re.compile(r"(?:[\w.-]+/)+[\w.-]*|[\w-]+\.(?:py|md|yaml|toml|txt|sql)")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block."""

    document: Path
    language: str
    text: str

    @property
    def first_line(self) -> str:
        return self.text.splitlines()[0].strip() if self.text.strip() else ""


def name_of(document: Path) -> str:
    return str(document.relative_to(ROOT))


def blocks(document: Path, *languages: str) -> list[Block]:
    found = _FENCE.finditer(document.read_text(encoding="utf-8"))
    return [
        Block(document, match["language"], match["body"])
        for match in found
        if not languages or match["language"] in languages
    ]


def links(document: Path) -> Iterator[str]:
    """Targets of links that are files of ours."""
    text = _FENCE.sub("", document.read_text(encoding="utf-8"))
    for target in _LINK.findall(text):
        if not target.startswith(("http://", "https://", "#")):
            yield target.partition("#")[0]


def paths(document: Path) -> Iterator[str]:
    """What is written like a path of the repository, in code marks."""
    text = _FENCE.sub("", document.read_text(encoding="utf-8"))
    for code in _CODE.findall(text):
        if _PATH.fullmatch(code):
            yield code
