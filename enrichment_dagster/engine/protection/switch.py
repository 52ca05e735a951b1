"""The switch: a provider that succeeds too seldom is asked after the others, and earns its place back with probes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from enrichment_dagster.engine.protection.codec import count, seconds
from enrichment_dagster.engine.protection.policy import SwitchPolicy
from enrichment_dagster.engine.protection.window import EMPTY, Window


@dataclass(frozen=True, slots=True)
class Switch:
    """Successes of the last minutes; while ``demoted``, also the last probe and the OK results in a row."""

    window: Window = EMPTY
    demoted: bool = False
    demoted_at: float = 0.0
    probed_at: float = 0.0
    oks_in_row: int = 0

    def probe_due(self, policy: SwitchPolicy, now: float) -> bool:
        """Say whether the demoted provider is to be asked first once, to see how it does."""
        return self.demoted and now - self.probed_at >= policy.probe_every_seconds

    def sending(self, send_at: float) -> Switch:
        """Return the switch after a call was admitted; any call to a demoted provider is a probe."""
        return replace(self, probed_at=send_at) if self.demoted else self

    def observe(self, policy: SwitchPolicy, *, failed: bool, began_at: float, now: float) -> Switch:
        """Return the switch after a call that says something of the provider's health."""
        window = self.window.add(failed=failed, now=now, window_seconds=policy.window_seconds)
        if self.demoted:
            return self._probed(policy, window, failed=failed, began_at=began_at)
        calls, failures = window.totals(now, policy.window_seconds)
        if calls >= policy.min_calls and (calls - failures) / calls < policy.min_success_share:
            return Switch(window, demoted=True, demoted_at=now, probed_at=now)
        return Switch(window)

    def put_back(self, by: float) -> Switch:
        """Return the switch after the clock was put back: a probe is due at once."""
        return Switch(self.window.shifted(by), self.demoted, self.demoted_at + by, 0.0, self.oks_in_row)

    def to_json(self) -> list[Any]:
        """Return the fields in order."""
        return [self.window.to_json(), int(self.demoted), self.demoted_at, self.probed_at, self.oks_in_row]

    @classmethod
    def from_json(cls, raw: list[Any]) -> Switch:
        """Read what ``to_json`` wrote.

        Raises:
            ValueError, TypeError: it is something else.
        """
        window, demoted, demoted_at, probed_at, in_row = raw
        return cls(
            Window.from_json(window), bool(count(demoted)), seconds(demoted_at), seconds(probed_at), count(in_row)
        )

    def _probed(self, policy: SwitchPolicy, window: Window, *, failed: bool, began_at: float) -> Switch:
        """Count OK results in a row. Calls sent before the switch prove nothing: there may be dozens of them."""
        in_row = 0 if failed else self.oks_in_row + (began_at >= self.demoted_at)
        if in_row >= policy.probes_to_return:
            return Switch()
        return Switch(window, self.demoted, self.demoted_at, self.probed_at, in_row)
