"""What pydantic says of a wrong entry, in words that tell an operator what to change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from enrichment_dagster.domain.config_types import FORMS

_PLAIN = {
    "missing": "is missing",
    "dict_type": "must have entries of its own, each as name: value",
    "model_type": "must have entries of its own, each as name: value",
    "list_type": "must be a list, as [one, another]",
}


def in_words(error: ErrorDetails, root: type[BaseModel]) -> str:
    """Return what is wrong with an entry of the file, whose form ``root`` is, and what it has to be."""
    if error["type"] == "extra_forbidden":
        known = ", ".join(_names_at(root, error["loc"][:-1]))
        return f"there is no such entry{f'; known are {known}' if known else ''}"
    if error["type"] in _PLAIN:
        return _PLAIN[error["type"]]
    form = FORMS.get(str(error.get("ctx", {}).get("pattern")))
    said = error["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    return f"must be {form}" if form else said


def place_of(error: ErrorDetails) -> tuple[int | str, ...]:
    """Return where the wrong entry is; of one whose name is wrong pydantic says it by a part that no file has."""
    return error["loc"][:-1] if error["loc"][-1:] == ("[key]",) else error["loc"]


def _names_at(root: type[BaseModel], place: Sequence[int | str]) -> list[str]:
    """Return the entries that the file may have at a place; none where that can't be told."""
    kinds: list[Any] = [root]
    for part in place:
        kinds = [inner for kind in kinds for inner in _inside(kind, part)]
    return [name for kind in kinds if _is_model(kind) for name in kind.model_fields]


def _inside(kind: Any, part: int | str) -> Iterator[Any]:
    if _is_model(kind):
        found = kind.model_fields.get(str(part))
        yield from _each(found.annotation if found else None)
    elif get_origin(kind) in {dict, list}:
        yield from _each(get_args(kind)[-1])


def _each(kind: Any) -> Iterator[Any]:
    """Yield the kinds that an annotation allows."""
    if get_origin(kind) is Annotated:
        yield from _each(get_args(kind)[0])
    elif get_origin(kind) in {Union, UnionType}:
        for one in get_args(kind):
            yield from _each(one)
    else:
        yield kind


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
