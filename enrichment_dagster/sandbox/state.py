"""What one sandbox holds: the world, its CRMs' records, Clay's tables, counters, the fault plan, owed callbacks."""

from enrichment_dagster.sandbox.callbacks import Callbacks
from enrichment_dagster.sandbox.clay_tables import ClayTables
from enrichment_dagster.sandbox.config import SandboxConfig
from enrichment_dagster.sandbox.counters import Counters
from enrichment_dagster.sandbox.crm_kinds import KINDS
from enrichment_dagster.sandbox.crm_links import Links
from enrichment_dagster.sandbox.crm_seed import seed
from enrichment_dagster.sandbox.crm_store import CrmStore, WriteLog
from enrichment_dagster.sandbox.echo import Echo
from enrichment_dagster.sandbox.faults import FaultPlan
from enrichment_dagster.sandbox.salesforce_session import Sessions
from enrichment_dagster.sandbox.world import World


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
        self.links = Links(self.writes, self.echo.note_link)
        self.stores = {
            place: CrmStore(*place, kind.new_ids(config.first_record), self.writes, email_field=kind.email_field)
            for place, kind in KINDS.items()
        }
        self.hubspot = self.stores["hubspot", "contact"]
        self.salesforce = self.stores["salesforce", "lead"]
        self.accounts = seed(self.world, self.stores, self.links)
        for store in self.stores.values():
            store.keep()
        self.links.keep()

    def clear_crm(self) -> None:
        """Back to the companies and deals of the start, without any write. Ids go on counting."""
        for store in self.stores.values():
            store.reset()
        self.links.reset()
        self.writes.clear()
