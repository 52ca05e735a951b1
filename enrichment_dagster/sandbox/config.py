"""Settings of a sandbox: the seed, the keys it accepts, the secrets of its clients."""

from dataclasses import dataclass, field

from enrichment_dagster.sandbox.faults import FaultPlan


@dataclass(frozen=True, slots=True)
class SandboxConfig:
    """How one sandbox is set up. Without `api_keys`, any key that starts with `sandbox-` is accepted."""

    seed: int = 7
    people: int = 5000
    companies: int = 800
    api_keys: frozenset[str] = frozenset()
    salesforce_client_id: str = "sandbox-client"
    salesforce_client_secret: str = "sandbox-secret"  # noqa: S105  # The emulator's own, not a real secret.
    salesforce_session_seconds: float = 7200.0
    first_record: int = 1
    faults: FaultPlan = field(default_factory=FaultPlan)

    def accepts_key(self, key: str) -> bool:
        """Whether a vendor of this sandbox accepts the API key."""
        return key in self.api_keys if self.api_keys else key.startswith("sandbox-")
