"""What a vendor's rate-limit headers say of the quota that is left."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quota:
    """A rate limit as told with an answer. None: the vendor did not say."""

    limit: int | None = None  # calls per window
    remaining: int | None = None  # calls left in the window
    window_seconds: float | None = None
    resets_in_seconds: float | None = None
