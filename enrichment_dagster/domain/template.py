"""Texts with placeholders, as the requests of a declarative provider have them: ``/v1/companies/{domain}``.

A brace that is meant as such is written twice, as in Python: ``{{``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from string import Formatter
from typing import Any

PLACEHOLDERS = ("email", "domain", "company_name", "first_name", "last_name")
"""What may stand in braces: the parts of a query that identify its subject."""

PERSONAL = frozenset({"email", "first_name", "last_name"})
"""Placeholders that tell one person of a company from another."""


class TemplateError(ValueError):
    """A text is not a template; the message says what to change."""


@lru_cache(maxsize=1_000)
def parsed(template: str) -> tuple[tuple[str, str], ...]:
    """Return the template as pairs: a literal text, and the placeholder behind it (empty at the end).

    Raises:
        TemplateError: a brace stands alone, or a placeholder is unknown.
    """
    try:
        parts = list(Formatter().parse(template))
    except ValueError:
        raise TemplateError("a brace stands alone; write {{ or }} where you mean a brace") from None
    return tuple((literal, _placeholder(name, spec, conversion)) for literal, name, spec, conversion in parts)


def _placeholder(name: str | None, spec: str | None, conversion: str | None) -> str:
    if name is None:
        return ""
    if name not in PLACEHOLDERS or spec or conversion:
        written = name + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "")
        known = ", ".join(f"{{{placeholder}}}" for placeholder in PLACEHOLDERS)
        raise TemplateError(f"no placeholder is called {{{written}}}; known are {known}; write {{{{ for a brace")
    return name


def placeholders(*sources: Any) -> frozenset[str]:
    """Return the placeholders in texts, also in those inside of lists and objects.

    Raises:
        TemplateError: one of the texts is not a template.
    """
    return frozenset(name for source in sources for text in _texts(source) for _, name in parsed(text) if name)


def filled(source: Any, values: Mapping[str, str], encode: Callable[[str], str] = str) -> Any:
    """Return a copy with a value, encoded, in place of each placeholder; what is not a text stays as it is."""
    if isinstance(source, str):
        return "".join(literal + (encode(values[name]) if name else "") for literal, name in parsed(source))
    if isinstance(source, Mapping):
        return {key: filled(value, values, encode) for key, value in source.items()}
    if isinstance(source, list):
        return [filled(value, values, encode) for value in source]
    return source


def _texts(source: Any) -> Iterator[str]:
    if isinstance(source, str):
        yield source
    elif isinstance(source, Mapping):
        for value in source.values():
            yield from _texts(value)
    elif isinstance(source, list):
        for value in source:
            yield from _texts(value)
