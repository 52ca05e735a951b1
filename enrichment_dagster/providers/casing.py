"""Capital letters for vendors that send everything in lower case."""

from __future__ import annotations

import re

_APOSTROPHES = "'\u2019"
_WORD = re.compile(rf"[^\W_]+(?:[{_APOSTROPHES}][^\W_]+)*")
_UPPER = frozenset({
    "ai", "api", "b2b", "b2c", "bdr", "cdo", "ceo", "cfo", "chro", "cio", "ciso", "cmo", "coo", "cpo", "cro",
    "crm", "cso", "cto", "erp", "evp", "gm", "hr", "it", "llc", "llp", "ml", "plc", "pmo", "pr", "qa", "sdr",
    "seo", "sre", "svp", "uk", "ui", "usa", "ux", "vp",
})  # fmt: skip
_SPECIAL = {"gmbh": "GmbH", "saas": "SaaS", "devops": "DevOps"}
_SMALL = frozenset({
    "a", "an", "and", "at", "by", "for", "from", "in", "of", "on", "or", "the", "to", "with",
})  # fmt: skip


def title_case(text: str) -> str:
    """Return a title, company or place: ``head of it and vp sales`` -> ``Head of IT and VP Sales``.

    A text with capital letters of its own stays as it is.
    """
    if text != text.lower():
        return text
    first = _WORD.search(text)
    start = first.start() if first else 0
    return _WORD.sub(lambda word: _titled(word.group(), is_first=word.start() == start), text)


def name_case(text: str) -> str:
    """Return a person's name: ``anne-marie o'brien`` -> ``Anne-Marie O'Brien``; no word of it is an acronym."""
    return _WORD.sub(lambda word: _capital(word.group()), text) if text == text.lower() else text


def _titled(word: str, *, is_first: bool) -> str:
    if word in _SPECIAL:
        return _SPECIAL[word]
    if word in _UPPER:
        return word.upper()
    return word if word in _SMALL and not is_first else _capital(word)


def _capital(word: str) -> str:
    """Capitalise a word, and what follows a one-letter prefix: ``o'brien``, ``d'angelo`` (but ``men's``)."""
    head, mark, rest = word[:1], word[1:2], word[2:]
    if mark and mark in _APOSTROPHES:
        return head.upper() + mark + rest[:1].upper() + rest[1:]
    return head.upper() + word[1:]
