"""The routing lane in a running installation: its record is told within seconds, and nothing is bought twice for it."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from account import audit
from fullstack import Stack, ask, running_stack, wait_for
from sqlalchemy import func, select

from enrichment_dagster.sandbox.signing import build_hubspot_delivery, contact_creation
from enrichment_dagster.sandbox.world import World
from enrichment_dagster.store.tables import attempts, work
from enrichment_dagster.supervise.environment import sandbox_variables

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

ROUTED_WITHIN_SECONDS = 3.0
WORKERS = 2


def with_routing_properties(config: dict[str, Any]) -> None:
    contact = config["crm"]["hubspot"]["objects"]["contact"]
    contact["routing"] = {"segment": "icp_tier", "score": "lead_score"}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("routing")
    with running_stack(folder, change=with_routing_properties, options=("--workers", str(WORKERS))) as found:
        yield found


def known_person(world: World, first: int) -> int:
    """Return a person of whom Apollo and Clearbit know person and company."""
    for number in range(first, first + 500):
        person = world.person(number)
        if person.is_business and person.apollo is not None and person.apollo.title and person.clearbit is not None:
            return number
    raise AssertionError("nobody is known")


def post_contact(stack: Stack, person: int) -> str:
    """Create a contact and post its signed event, as HubSpot does; returns its id."""
    contact = str(stack.sandbox("POST", "hubspot/contacts", {"person": person})["id"])
    url, now = f"{stack.ports.gateway_url}/webhooks/hubspot", int(time.time() * 1_000)
    secret = sandbox_variables(stack.ports)["HUBSPOT_CLIENT_SECRET"]
    headers, body = build_hubspot_delivery([contact_creation(int(contact), person, now)], secret, url, now)
    assert ask("POST", url, body, headers)["accepted"] == 1
    return contact


def billed(stack: Stack) -> Counter[tuple[str, str]]:
    """Return how often each endpoint was paid for each subject."""
    subjects = stack.sandbox("GET", "counters")["billed_subjects"]
    return Counter({(endpoint, name): n for endpoint, found in subjects.items() for name, n in found.items()})


def fields(stack: Stack, contact: str) -> dict[str, Any]:
    found: dict[str, Any] = stack.sandbox("GET", f"crm/hubspot/records/{contact}")["fields"]
    return found


def test_a_new_contact_is_routed_in_seconds_and_enriched_without_buying_anything_again(stack: Stack) -> None:
    world = World()
    post_contact(stack, known_person(world, 1_000))  # the first call of a process opens its connections
    stack.settle(90)
    billed_before = billed(stack)  # the worker that dies in another test may have had calls in flight
    told = ("company", "industry", "numberofemployees", "icp_tier")
    for first in (2_000, 2_500, 3_500):  # the machine may be busy with something else
        contact = post_contact(stack, known_person(world, first))
        begun = time.monotonic()
        wait_for("the routing in the CRM", 30, lambda: all(fields(stack, contact).get(name) for name in told), 0.05)  # noqa: B023
        seconds = time.monotonic() - begun
        if seconds < ROUTED_WITHIN_SECONDS:
            break
    before = fields(stack, contact)
    assert before.get("enrichment_status") in (None, ""), "the status is the standard lane's to tell"
    wait_for("the full set in the CRM", 90, lambda: fields(stack, contact).get("enrichment_status"))
    after = fields(stack, contact)
    assert after["jobtitle"]
    assert {name: after[name] for name in told} == {name: before[name] for name in told}
    again = {call: times for call, times in (billed(stack) - billed_before).items() if times > 1}
    print(f"\nrouted in {seconds:.2f} s")
    assert again == {}
    assert seconds < ROUTED_WITHIN_SECONDS


def test_a_worker_that_dies_is_replaced_and_its_leads_are_finished(stack: Stack) -> None:
    """kill -9 of one of two gateway processes that route: received = terminal + dead + in flight, no call is paid for
    again unless it was in flight, and the port is served all the time."""
    workers = [process for process in stack.processes() if "--worker" in process.cmdline()]
    assert len(workers) == WORKERS
    stack.faults({"*": {"latency": {"p50_ms": 300, "p95_ms": 900}}})
    stack.send(40, rate=20, seed=4, first_person=3_000)
    wait_for("a call in flight", 30, lambda: in_flight(stack), 0.05)
    workers[0].send_signal(signal.SIGKILL)
    stack.wait_sent(60)
    assert all(lead.accepted for lead in stack.sent)
    url = f"{stack.ports.gateway_url}/readyz"
    wait_for("two workers again", 30, lambda: ask("GET", url)["checks"]["workers"]["detail"] == "2 of 2 run")
    stack.settle(150)
    with stack.stores.ops.read() as connection:
        routed = connection.execute(select(func.count()).where(work.c.kind == "routing")).scalar_one()
    account = audit(stack, World(), warehouse=False)
    print(f"\n{routed} routings; {account}")
    assert account.problems == []
    assert account.repeated_calls <= account.calls_in_flight_at_kills
    assert routed, "there was something to lose; how much depends on the machine and on who had what in hand"


def in_flight(stack: Stack) -> int:
    with stack.stores.ops.read() as connection:
        return int(connection.execute(select(func.count()).where(attempts.c.state == "sent")).scalar_one())
