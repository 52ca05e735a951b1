"""Settings of a sandbox: the seed, the keys it accepts, the secrets of its clients, the pace of its callbacks."""

from dataclasses import dataclass, field
from datetime import date

from enrichment_dagster.sandbox.faults import FaultPlan


@dataclass(frozen=True, slots=True)
class SandboxConfig:
    """How one sandbox is set up. Without `api_keys`, any key that starts with `sandbox-` is accepted.

    `callback_delay_seconds` is how long Apollo takes for a phone and Clay for a row; each is then delivered
    `callback_repeats` times more, as long apart, since these webhooks may come twice. Apollo keeps a phone for
    `phone_result_seconds` (30 days). HubSpot takes `searches_per_second` of a key. `clay_lifetime` is how many rows one
    Clay webhook ever takes. `news_until` is the day of the latest news, by default the day on which the sandbox starts.
    """

    seed: int = 7
    people: int = 5000
    companies: int = 800
    api_keys: frozenset[str] = frozenset()
    salesforce_client_id: str = "sandbox-client"
    salesforce_client_secret: str = "sandbox-secret"  # noqa: S105  # The emulator's own, not a real secret.
    salesforce_session_seconds: float = 7200.0
    first_record: int = 1
    callback_delay_seconds: float = 2.0
    callback_repeats: int = 0
    phone_result_seconds: float = 30 * 86_400.0
    searches_per_second: int = 5
    clay_lifetime: int = 50_000
    news_until: date | None = None
    faults: FaultPlan = field(default_factory=FaultPlan)

    def accepts_key(self, key: str) -> bool:
        """Whether a vendor of this sandbox accepts the API key."""
        return key in self.api_keys if self.api_keys else key.startswith("sandbox-")
