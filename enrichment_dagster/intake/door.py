"""What a sender is built from, besides its own part of the configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from enrichment_dagster.domain.triggers import Triggers


@dataclass(frozen=True, slots=True)
class Door:
    """The secrets of this sender, the URL that it calls, and the rules that its events are judged by."""

    secrets: tuple[bytes, ...] = field(repr=False)  # at least one; a second one while it is rotated
    url: str  # empty where its configuration has no public_url
    triggers: Triggers
    more_secrets: Callable[[Sequence[str]], tuple[bytes, ...]] = field(repr=False)  # by variables' names; may be none
    skips_domains: Mapping[str, Sequence[str]] = field(default_factory=dict)  # by event type; policy.skip_domains
    skips_personal: frozenset[str] = frozenset()  # event types whose plan buys nothing for addresses of mail hosts
