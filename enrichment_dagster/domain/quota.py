"""What a vendor's rate-limit headers say of the quota that is left."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quota:
    """One window of a vendor's rate limit; None = the reply did not say."""

    limit: int | None = None  # calls that the window allows
    remaining: int | None = None  # calls that are left in it
    window_seconds: float | None = None
    resets_in_seconds: float | None = None  # until the window begins anew
