"""What the conditions of routing rules may name, and of which type it is."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from enrichment_dagster.domain.fields import FIELDS, Kind


class Type(StrEnum):
    """What a part of an expression stands for."""

    NUMBER = "number"
    TEXT = "text"
    TEXTS = "list of texts"
    ENTRIES = "list of entries"
    CONDITION = "condition"


_OF_KIND = {Kind.INTEGER: Type.NUMBER, Kind.NUMBER: Type.NUMBER, Kind.TAGS: Type.TEXTS, Kind.ENTRIES: Type.ENTRIES}

LEAD_NAMES: Mapping[str, Type] = MappingProxyType(
    {name: _OF_KIND.get(spec.kind, Type.TEXT) for name, spec in FIELDS.items()}
)
"""What segments and scores may name: the fields of the catalogue."""

ROUTE_NAMES: Mapping[str, Type] = MappingProxyType({**LEAD_NAMES, "segment": Type.TEXT, "score": Type.NUMBER})
"""What routes may name."""
