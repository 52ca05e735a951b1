"""Builds what a process needs from the settings: the one place where ports meet their adapters.

Adapters are imported where they are built: a sensor tick needs no HTTP client, and a run that only delivers needs no
data frames. Every import that a run does not make is time that a lead does not wait.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from enrichment_dagster.clock import Clock, SystemClock
from enrichment_dagster.domain.config import EnrichmentConfig, EventTypeConfig, PlanConfig
from enrichment_dagster.domain.echoes import OwnMarks
from enrichment_dagster.domain.eligibility import InboxRules, Rules
from enrichment_dagster.domain.event import Lane
from enrichment_dagster.engine.batch import BatchReport, BatchRunner
from enrichment_dagster.engine.changes import EMPLOYER_FIELDS
from enrichment_dagster.engine.conclude import Candidate
from enrichment_dagster.engine.delivery import Deliverer, DeliveryReport
from enrichment_dagster.engine.plan import Plan, make_plan
from enrichment_dagster.engine.protection import BreakerPolicy, ProviderPolicy, SwitchPolicy
from enrichment_dagster.engine.purchase import Buyer
from enrichment_dagster.engine.retry import RetryPolicy
from enrichment_dagster.errors import ConfigurationError
from enrichment_dagster.interpreter import few_collections, short_turns
from enrichment_dagster.ports import CachePolicy, Lease, Lookup
from enrichment_dagster.settings import Settings
from enrichment_dagster.store.committer import GroupCommitter
from enrichment_dagster.store.database import Database
from enrichment_dagster.store.dispatch import DispatchStore
from enrichment_dagster.store.health import PROJECTOR_BEAT, HealthStore
from enrichment_dagster.store.ledger import Policies, SqlLedger
from enrichment_dagster.store.loops import LoopStore
from enrichment_dagster.store.memory import SqlMemory
from enrichment_dagster.store.migrate import open_journal_database, open_ops_database
from enrichment_dagster.store.own_writes import SqlOwnWrites
from enrichment_dagster.store.provider_states import SqlStandings
from enrichment_dagster.store.runs import RunStore
from enrichment_dagster.store.spending import TOTAL
from enrichment_dagster.store.work import RENEW_EVERY_SECONDS, SqlWorkStore

if TYPE_CHECKING:
    from enrichment_dagster.store.projector import ProjectionReport, Projector
    from enrichment_dagster.store.warehouse import Warehouse


@dataclass(frozen=True, slots=True)
class Stores:
    """The operational store of a process, opened once."""

    journal: Database
    ops: Database
    clock: Clock
    rules: Mapping[str, InboxRules] = field(hash=False)  # by event type
    marks: OwnMarks  # what CRMs call us

    def dispatch(self) -> DispatchStore:
        """Return the tick's view."""
        return DispatchStore(self.journal, self.ops, self.clock, self.rules, self.marks)

    def health(self) -> HealthStore:
        """Return the checks' view."""
        return HealthStore(self.journal, self.ops, self.clock)

    def runs(self) -> RunStore:
        """Return the runs' signs of life."""
        return RunStore(self.ops, self.clock)

    def loops(self) -> LoopStore:
        """Return the counts of loops."""
        return LoopStore(self.ops, self.clock)

    def own_writes(self) -> SqlOwnWrites:
        """Return what we wrote to CRMs."""
        return SqlOwnWrites(self.ops, self.clock, self.marks)

    def close(self) -> None:
        """Close both databases."""
        self.journal.dispose()
        self.ops.dispose()


def open_stores(settings: Settings, clock: Clock | None = None) -> Stores:
    """Open the operational store, creating or upgrading its schema."""
    databases = open_journal_database(settings), open_ops_database(settings)
    return Stores(*databases, clock or SystemClock(), inbox_rules(settings.config), own_marks(settings))


def own_marks(settings: Settings) -> OwnMarks:
    """Return how the CRMs name us as the author of a change."""
    hubspot, salesforce = settings.config.crm.hubspot, settings.config.crm.salesforce
    return OwnMarks(
        hubspot_app_id=(hubspot.app_id if hubspot else None) or "",
        salesforce_client=salesforce.client_name if salesforce else "",
    )


def build_plan(
    settings: Settings,
    event_type: str,
    lookups: Mapping[str, Lookup],
    lane: str = "standard",
    useful: Iterable[str] = (),
) -> Plan:
    """Return the plan of an event type's lane. Lookups of providers that are not enabled are passed over.

    Raises:
        ConfigurationError: the type or lane does not exist, or a slow lookup stands in the routing lane.
    """
    config = settings.config.event_types.get(event_type)
    if config is None:
        raise ConfigurationError([f"event_types: add {event_type}, a sensor and an asset exist for it"])
    plan: PlanConfig | None = getattr(config.lanes, lane)
    if plan is None:
        raise ConfigurationError([f"event_types.{event_type}.lanes: add {lane}"])
    listed = dict.fromkeys([*plan.waterfall, *(name for names in plan.orders.values() for name in names)])
    usable = [lookups[name] for name in listed if name in lookups]
    if lane == Lane.ROUTING and (slow := [lookup.name for lookup in usable if lookup.slow]):
        raise ConfigurationError([f"event_types.{event_type}.lanes.routing: {', '.join(slow)} can't answer in time"])
    return make_plan(
        event_type,
        usable,
        wanted=plan.fields,
        waterfall=plan.waterfall,
        own_orders=plan.orders,
        deadline_seconds=plan.deadline_seconds,
        follow_up_seconds=config.follow_up_seconds,
        value_ttl=timedelta(seconds=settings.config.cache.hit_seconds),
        lane=lane,
        mode=plan.mode,
        prefer=plan.prefer,
        budget_micros=None if plan.budget_usd is None else round(plan.budget_usd * 1_000_000),
        rules=build_rules(config, plan),
        useful=useful,
    )


def build_rules(config: EventTypeConfig, plan: PlanConfig) -> Rules:
    """Return whom an event type enriches."""
    policy = config.policy
    return Rules(
        needs=policy.needs,
        skip_personal=config.personal_domains == "skip",
        skip_domains=frozenset(policy.skip_domains),
        only_status=frozenset(word.lower() for word in policy.only_status),
        fresh=None if plan.fresh_seconds is None else timedelta(seconds=plan.fresh_seconds),
        recheck=frozenset(policy.rechecked) | (EMPLOYER_FIELDS if policy.follow_employer else frozenset()),
        follow_employer=policy.follow_employer,
    )


def inbox_rules(config: EnrichmentConfig) -> dict[str, InboxRules]:
    """Return how events of one subject stand to each other, by event type."""
    return {
        name: InboxRules(
            cooldown=timedelta(seconds=found.policy.cooldown_seconds),
            debounce=timedelta(seconds=found.policy.debounce_seconds),
        )
        for name, found in config.event_types.items()
    }


def build_policies(settings: Settings) -> Policies:
    """Return what the configuration says of limits, breakers and budgets."""
    config = settings.config
    breaker = BreakerPolicy(**config.protection.breaker.model_dump())
    switch = SwitchPolicy(**config.protection.switch.model_dump())
    budgets = {name: p.usd_per_day for name, p in config.providers.items()} | {TOTAL: config.budget.usd_per_day}
    return Policies(
        {
            name: ProviderPolicy(**provider.limits.model_dump(), breaker=breaker, switch=switch)
            for name, provider in config.providers.items()
        },
        {name: round(usd * 1_000_000) for name, usd in budgets.items() if usd is not None},
    )


def cache_policy(settings: Settings) -> CachePolicy:
    """Return how long answers are remembered where a lookup has no policy of its own."""
    return CachePolicy(**settings.config.cache.model_dump())


def validate(candidates: Sequence[Candidate]) -> tuple[list[Candidate], list[tuple[Candidate, str]]]:
    """Tell good values from bad ones (``engine.conclude.Validator``)."""
    from enrichment_dagster.schemas.candidates import validate_values

    return validate_values(candidates)


def build_buyer(
    settings: Settings,
    committer: GroupCommitter,
    clock: Clock,
    policies: Policies,
    rng: random.Random,
    *,
    bulk: bool,
) -> Buyer:
    """Return what asks lookups; ``bulk``: several leads together where a vendor has a call for that."""
    retry = settings.config.retry
    return Buyer(
        SqlLedger(committer, clock, policies),
        clock,
        RetryPolicy(retry.attempts, retry.first_delay_seconds, retry.max_delay_seconds),
        cache_policy(settings),
        rng,
        bulk=bulk,
        callback_url=settings.callback_url,
    )


@dataclass(frozen=True, slots=True)
class Worker:
    """What a run works with, inside one event loop."""

    work: SqlWorkStore
    runner: BatchRunner | None
    deliverer: Deliverer


_RUNS_PAUSE_SECONDS = 0.003
"""A run has a transaction after the other: the gateway, which looks every millisecond, gets the lock between two."""


@asynccontextmanager
async def open_worker(settings: Settings, stores: Stores, event_type: str | None = None) -> AsyncIterator[Worker]:
    """Build a worker; without an event type it delivers only."""
    from enrichment_dagster.crm.mapper import ConfiguredMapper
    from enrichment_dagster.crm.registry import build_crms
    from enrichment_dagster.http.clients import RemoteClients

    committer = GroupCommitter(stores.ops, "ops", _RUNS_PAUSE_SECONDS)
    try:
        async with RemoteClients() as clients:
            work = SqlWorkStore(stores.ops, committer, stores.clock)
            crms = build_crms(settings, clients, stores.clock)
            mapper = ConfiguredMapper(settings.config.crm)
            rng = random.Random()  # noqa: S311 - jitter, no secret
            runner = None
            if event_type is not None:
                from enrichment_dagster.providers.registry import build_lookups

                policies = build_policies(settings)
                buyer = build_buyer(settings, committer, stores.clock, policies, rng, bulk=True)
                runner = BatchRunner(
                    plan=build_plan(settings, event_type, dict(build_lookups(settings, clients))),
                    work=work,
                    crms=crms,
                    mapper=mapper,
                    memory=SqlMemory(stores.ops, stores.clock),
                    buyer=buyer,
                    standings=SqlStandings(stores.ops, stores.clock, policies),
                    validate=validate,
                    clock=stores.clock,
                    concurrent_events=settings.config.runs.concurrent_events,
                    renew_seconds=RENEW_EVERY_SECONDS,
                    rng=rng,
                )
            deliverer = Deliverer(work=work, crms=crms, mapper=mapper, clock=stores.clock, rng=rng)
            yield Worker(work, runner, deliverer)
    finally:
        committer.close()


def enrich_batch(settings: Settings, stores: Stores, event_type: str, batch_id: str, owner: str) -> BatchReport:
    """Enrich a batch's open events; an empty report when it is finished or another run holds it."""
    preloading = threading.Thread(target=preload, name="preload", daemon=True)

    async def main() -> BatchReport:
        async with open_worker(settings, stores, event_type) as worker:
            lease: Lease | None = worker.work.lease(batch_id, owner)
            if lease is None or worker.runner is None:
                return BatchReport()
            preloading.start()
            return await worker.runner.run(lease, worker.work.open_items(batch_id))

    with few_collections(), short_turns():
        return asyncio.run(main())


def enrich_day(
    settings: Settings, stores: Stores, event_type: str, day: str, owner: str, *, refresh: bool
) -> BatchReport:
    """Enrich everything of a day that has no final state and is in nobody's hands, in batches, one after the other.

    What was put off is taken at once, follow-ups only when they are due. ``refresh`` replays the day's finished events
    too.
    """
    total, dispatch = BatchReport(), stores.dispatch()
    dispatch.pump()
    limit = settings.config.runs.max_batch
    while batch := dispatch.assign_day(event_type, day, refresh=refresh, limit=limit, owner=owner):
        refresh = False  # their work exists now
        report = enrich_batch(settings, stores, event_type, batch.batch_id, owner)
        total.add(report)
        if not report.outcomes:
            break  # all of it was deferred: its CRM is down, later is better than again
    return total


def preload() -> None:
    """Load the data frame libraries while the first calls are on the wire (0.9 s that nobody has to wait for)."""
    from enrichment_dagster.schemas import candidates

    _ = candidates


def preload_all() -> None:
    """Load everything that an answer needs: a process that is asked at once does it before it is asked at all.

    Otherwise the first answers share a second and a half of processor time, while the providers' answers wait and count
    as too late.
    """
    from enrichment_dagster.domain import normalise
    from enrichment_dagster.schemas import candidates

    normalise.preload()
    candidates.preload()


def deliver_owed(settings: Settings, stores: Stores, owner: str) -> DeliveryReport:
    """Deliver everything that is due."""

    async def main() -> DeliveryReport:
        async with open_worker(settings, stores) as worker:
            return await worker.deliverer.deliver(owner)

    with short_turns():
        return asyncio.run(main())


def open_warehouse(settings: Settings) -> Warehouse:
    """Return the warehouse; nothing is opened yet."""
    from enrichment_dagster.store.warehouse import Warehouse

    return Warehouse(settings.catalog_path, settings.lake_path, settings.catalog_url, settings.config.routing)


def open_projector(settings: Settings, stores: Stores) -> Projector:
    """Return the projector of this installation."""
    from enrichment_dagster.store.projector import Projector

    return Projector(stores.ops, open_warehouse(settings), stores.clock)


def project(settings: Settings, stores: Stores) -> ProjectionReport:
    """Copy what is new into the warehouse, and note how far it came."""
    report = open_projector(settings, stores).project()
    if not report.skipped_because_locked:
        stores.dispatch().beat(PROJECTOR_BEAT, rev=report.watermark)
    return report
