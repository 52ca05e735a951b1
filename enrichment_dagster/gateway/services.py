"""Builds what a gateway runs beside its doors: the routing lane, and what takes late answers in."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from enrichment_dagster.composition import Stores, build_buyer, build_plan, build_policies, cache_policy, validate
from enrichment_dagster.domain.event import Lane
from enrichment_dagster.engine.delivery import Deliverer
from enrichment_dagster.errors import ConfigurationError
from enrichment_dagster.ports import Journal, Lookup
from enrichment_dagster.settings import Settings
from enrichment_dagster.store.committer import GroupCommitter
from enrichment_dagster.store.ledger import SqlLedger
from enrichment_dagster.store.memory import SqlMemory
from enrichment_dagster.store.provider_states import SqlStandings
from enrichment_dagster.store.work import SqlWorkStore

if TYPE_CHECKING:
    from enrichment_dagster.engine.late import LateAnswers
    from enrichment_dagster.engine.routing import RoutingLane
    from enrichment_dagster.http.clients import RemoteClients


@dataclass(frozen=True, slots=True)
class LateService:
    """What takes late answers in. ``aclose`` on the event loop that used it, ``close`` anywhere after that."""

    answers: LateAnswers
    lookups: int
    aclose: Callable[[], Awaitable[None]]
    close: Callable[[], None]


def open_late_answers(settings: Settings, stores: Stores) -> LateService:
    """Build it with the lookups of every provider that can be asked; nothing is connected yet."""
    from enrichment_dagster.engine.late import LateAnswers
    from enrichment_dagster.http.clients import RemoteClients
    from enrichment_dagster.store.pending import PendingStore

    committer, clients = GroupCommitter(stores.ops, "late"), RemoteClients()
    ledger = SqlLedger(committer, stores.clock, build_policies(settings))
    pending = PendingStore(stores.ops, committer, ledger.settle_all, stores.clock)
    lookups = _usable_lookups(settings, clients)
    answers = LateAnswers(pending, lookups, stores.clock, cache_policy(settings))
    return LateService(answers, len(lookups), clients.aclose, committer.close)


def _usable_lookups(settings: Settings, clients: RemoteClients) -> dict[str, Lookup]:
    """Return the lookups of all providers but those that lack a key: they must not keep the others' answers away."""
    import structlog

    from enrichment_dagster.providers.registry import build_lookups

    log = structlog.get_logger(__name__)
    found: dict[str, Lookup] = {}
    for name, provider in settings.config.providers.items():
        alone = settings.config.model_copy(update={"providers": {name: provider}})
        try:
            found |= build_lookups(replace(settings, config=alone), clients)
        except ConfigurationError as error:  # events are taken in all the same
            log.warning("no late answers of a provider are taken", provider=name, problems=error.problems)
    return found


@dataclass(frozen=True, slots=True)
class RoutingService:
    """The routing lane of a process. ``aclose`` on the event loop that used it, ``close`` anywhere after that."""

    lane: RoutingLane
    aclose: Callable[[], Awaitable[None]]
    close: Callable[[], None]


def open_routing(settings: Settings, stores: Stores, journal: Journal, owner: str) -> RoutingService | None:
    """Build the routing lane; None where no event type has a routing plan. Nothing is connected yet.

    Raises:
        ConfigurationError: a plan or a rule is wrong.
    """
    from enrichment_dagster.crm.mapper import ConfiguredMapper
    from enrichment_dagster.crm.registry import build_crms
    from enrichment_dagster.domain.routing import compile_rules
    from enrichment_dagster.engine.places import Places
    from enrichment_dagster.engine.routing import RoutingLane
    from enrichment_dagster.http.clients import RemoteClients
    from enrichment_dagster.store.routing import SqlRoutingStore

    routed = [name for name, config in settings.config.event_types.items() if config.lanes.routing is not None]
    if not routed:
        return None
    committer, clients, clock = GroupCommitter(stores.ops, "routing"), RemoteClients(), stores.clock
    lookups, policies = _usable_lookups(settings, clients), build_policies(settings)
    rng = random.Random()  # noqa: S311 - jitter, no secret
    crms, mapper = build_crms(settings, clients, clock), ConfiguredMapper(settings.config.crm)
    api = settings.config.intake.enrich
    rules = compile_rules(settings.config.routing)
    lane = RoutingLane(
        plans={name: build_plan(settings, name, lookups, Lane.ROUTING, rules.fields) for name in routed},
        buyer=build_buyer(settings, committer, clock, policies, rng, bulk=False),
        standings=SqlStandings(stores.ops, clock, policies),
        journal=journal,
        store=SqlRoutingStore(stores.journal, committer, owner, stores.rules, stores.marks),
        own_writes=stores.own_writes(),
        crms=crms,
        mapper=mapper,
        memory=SqlMemory(stores.ops, clock),
        deliverer=Deliverer(
            work=SqlWorkStore(stores.ops, committer, clock), crms=crms, mapper=mapper, clock=clock, rng=rng
        ),
        validate=validate,
        decide=rules.decide,
        places=Places(clock, api.max_at_once if api else 256, api.max_waiting if api else 256),
        clock=clock,
        owner=owner,
    )
    return RoutingService(lane, clients.aclose, committer.close)
