"""What one sandbox holds: the world, its CRMs' records, Clay's tables, counters, the fault plan, owed callbacks."""

from itertools import count

from enrichment_dagster.sandbox.callbacks import Callbacks
from enrichment_dagster.sandbox.clay_tables import ClayTables
from enrichment_dagster.sandbox.config import SandboxConfig
from enrichment_dagster.sandbox.counters import Counters
from enrichment_dagster.sandbox.crm_store import CrmStore, WriteLog
from enrichment_dagster.sandbox.echo import Echo
from enrichment_dagster.sandbox.faults import FaultPlan
from enrichment_dagster.sandbox.salesforce_ids import LeadIds
from enrichment_dagster.sandbox.salesforce_session import Sessions
from enrichment_dagster.sandbox.world import World

# HubSpot ids are int64; these do not fit int32, as those of a real capture.
HUBSPOT_FIRST_ID = 332_507_000_000


class SandboxState:
    """Everything that is not HTTP. Tests in the same process may read and change it."""

    def __init__(self, config: SandboxConfig) -> None:
        self.config = config
        self.world = World(config.seed, config.people, config.companies)
        self.counters = Counters()
        self.callbacks = Callbacks(self.counters)
        self.clay_tables = ClayTables(config.clay_lifetime)
        self.plan: FaultPlan = config.faults
        self.sessions = Sessions(config)
        self.echo = Echo(self.callbacks)
        self.writes = WriteLog(self.echo.note)
        hubspot_ids = count(HUBSPOT_FIRST_ID + config.first_record)
        self.hubspot = CrmStore("hubspot", "email", lambda: str(next(hubspot_ids)), self.writes)
        self.salesforce = CrmStore("salesforce", "Email", LeadIds(config.first_record), self.writes)

    def clear_crm(self) -> None:
        """Delete all CRM records and the log of their writes. Ids go on counting."""
        self.hubspot.clear()
        self.salesforce.clear()
        self.writes.clear()
