"""Values as people read them: durations and money, beside the forms that machines read."""

from __future__ import annotations

from collections.abc import Iterable

from enrichment_dagster.journey.forms import iso, mask_subject, usd

__all__ = ["counted", "counts_text", "dollars", "iso", "mask_subject", "money_text", "seconds_text", "usd"]

MINUTE, HOUR, DAY = 60, 3_600, 86_400
_MICROS = 1_000_000


def seconds_text(seconds: float) -> str:
    """Return a duration with the unit that suits it."""
    if seconds < 1:
        return f"{round(seconds * 1_000)} ms"
    if seconds < MINUTE:
        return f"{seconds:.1f} s"
    if seconds < HOUR:
        return f"{int(seconds // MINUTE)} min {int(seconds % MINUTE)} s"
    if seconds < DAY:
        return f"{int(seconds // HOUR)} h {int(seconds % HOUR // MINUTE)} min"
    return f"{int(seconds // DAY)} d {int(seconds % DAY // HOUR)} h"


def counted(number: int, thing: str, plural: str = "") -> str:
    """Return ``1 try``, ``2 tries``."""
    return f"{number} {thing if number == 1 else plural or f'{thing}s'}"


def counts_text(counts: Iterable[tuple[str, int]]) -> str:
    """Return ``not_json 2, too_deep 1``; an empty text where there is nothing."""
    return ", ".join(f"{name} {count}" for name, count in counts)


def dollars(amount: float) -> str:
    """Return an amount of US dollars for people: cents, and more digits only where there are any."""
    text = f"{amount:,.6f}".rstrip("0")
    whole, _, digits = text.partition(".")
    return f"${whole}.{digits:0<2}"


def money_text(micros: int) -> str:
    """Return an amount for people; a tenth of a cent still shows."""
    return f"${micros / _MICROS:.3f}" if micros else "-"
