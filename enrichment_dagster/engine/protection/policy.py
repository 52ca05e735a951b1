"""How a provider is to be treated: the numbers, all from the configuration."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When a provider is left alone, and for how long.

    It opens when ``failure_share`` of at least ``min_calls`` calls in the window failed, or after so many
    ``consecutive_failures``; but only where that lasts for ``min_seconds``, and for as long as the provider's slow
    answers take. For refusals are quicker than answers: of calls that are sent together all that fail end first, be
    they few. With 0 ``min_seconds`` it opens at once. Each failed probe doubles the time, from ``open_seconds`` to
    ``max_open_seconds``.
    """

    min_calls: int = 10
    failure_share: float = 0.5
    consecutive_failures: int = 8
    min_seconds: float = 1
    window_seconds: float = 60
    open_seconds: float = 15
    max_open_seconds: float = 300


@dataclass(frozen=True, slots=True)
class SwitchPolicy:
    """When others are asked before a provider, and how it earns its place back."""

    min_success_share: float = 0.9
    min_calls: int = 20
    window_seconds: float = 300
    probe_every_seconds: float = 15
    probes_to_return: int = 3


_BREAKER = BreakerPolicy()
_SWITCH = SwitchPolicy()


@dataclass(frozen=True, slots=True)
class ProviderPolicy:
    """Limits of one provider; None = no limit.

    Raises:
        ValueError: a rate that is not above zero, or a burst below one: no call could ever be sent.
    """

    per_second: float | None = None
    burst: int = 10
    concurrency: int | None = None
    lifetime_calls: int | None = None
    breaker: BreakerPolicy = _BREAKER
    switch: SwitchPolicy = _SWITCH

    def __post_init__(self) -> None:
        if self.per_second is not None and self.per_second <= 0:
            raise ValueError("per_second must be above 0")
        if self.burst < 1:
            raise ValueError("burst must be at least 1")
