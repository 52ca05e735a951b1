"""What only the running product can show of money and late answers: gateway, daemon, runs and emulators at work.

One installation for both tests. Its plan wants a phone, which Apollo brings to a callback URL two seconds later.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError

import pytest
from fullstack import Stack, ask, environment, running_stack, wait_for
from sqlalchemy import func, select
from support.story import call

from enrichment_dagster.sandbox.world import Person, World
from enrichment_dagster.store.database import to_ms
from enrichment_dagster.store.spending import SpendingStore
from enrichment_dagster.store.tables import attempts, pending_answers, work

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

PHONES = {"hubspot": "phone", "salesforce": "Phone"}
GAPS = {"hubspot": "enrichment_missing_fields", "salesforce": "Enrichment_Missing_Fields__c"}
LEADS = 20
FIRST_OF_STOPPED = 300
SLOW = {"latency": 4_000}


def with_phones(config: dict[str, Any]) -> None:
    """A phone is wanted; follow-ups come soon; a vendor that takes seconds is no reason to give up.

    The routing lane has tests of its own; here it would only be one more who asks.
    """
    lead = config["event_types"]["lead_created"]
    lead["lanes"].pop("routing", None)
    lead["follow_up_seconds"] = [3.0] * 30
    plan = lead["lanes"]["standard"]
    plan |= {"wanted": [*plan["wanted"], "phone"], "deadline_seconds": 50, "budget_usd": 1.0}
    plan["orders"]["phone"] = ["apollo.phone"]
    for provider in config["providers"].values():
        provider["timeout_seconds"] = 20


@pytest.fixture(scope="module")
def shared_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("money"), change=with_phones) as found:
        yield found


@pytest.fixture
def stack(shared_stack: Stack) -> Stack:
    """The installation once nothing of another test's leads is on its way: their phones come seconds later."""
    shared_stack.settle(60)
    wait_for("the phones of other leads, and all that follows", 60, lambda: not on_the_way(shared_stack))
    return shared_stack


def on_the_way(stack: Stack) -> int:
    """Answers that are waited for, and work that is to be done."""
    waiting = select(func.count()).where(pending_answers.c.state == "waiting")
    to_do = select(func.count()).where(work.c.state != "done")
    with stack.stores.ops.read() as connection:
        return sum(int(connection.execute(counted).scalar_one()) for counted in (waiting, to_do))


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def works(stack: Stack, record_id: str) -> list[Any]:
    """All work on a record, the event first."""
    statement = select(work).where(func.substr(work.c.subject_id, 1, 15) == record_id[:15]).order_by(work.c.due_at_ms)
    with stack.stores.ops.read() as connection:
        return list(connection.execute(statement).mappings())


def orders(stack: Stack, person: Person) -> list[Any]:
    """The calls for a person's phone, with what is kept of their answers."""
    statement = (
        select(attempts.c.state, attempts.c.cost_micros, pending_answers.c.state.label("answer"))
        .join(pending_answers, pending_answers.c.attempt_id == attempts.c.attempt_id)
        .where(attempts.c.subject_key == f"email:{person.email}", attempts.c.purpose == "phone")
    )
    with stack.stores.ops.read() as connection:
        return list(connection.execute(statement).mappings())


def forge(stack: Stack, provider: str, token: str) -> int:
    """Bring a phone that nobody ordered, in Apollo's words; returns the gateway's status."""
    number = {"sanitized_number": "+15550100000", "raw_number": "+1 555 010 0000", "status_cd": "valid_number"}
    body = {"request_id": "1", "webhook_result": {"people": [{"id": "x", "phone_numbers": [number]}]}}
    try:
        ask("POST", f"{stack.ports.gateway_url}/callbacks/{provider}/{token}", body)
    except HTTPError as error:
        with error:
            return error.code
    return 200


def digits(text: Any) -> str:
    return "".join(sign for sign in str(text) if sign.isdigit())


def test_a_phone_that_comes_later_reaches_the_crm_and_a_forged_one_does_not(stack: Stack, world: World) -> None:
    person = next(p for p in world.all_people[1:] if p.apollo_knows and p.is_business and world.coverage.mobile(p))
    before = stack.sandbox("GET", "counters")
    stack.send(1, rate=0, seed=3, first_person=person.index)
    wait_for("the order of the phone", 60, lambda: orders(stack, person), 0.05)
    assert [forge(stack, "apollo", token) for token in ("x", "A" * 43, "%2e%2e")] == [404, 404, 404]
    stack.wait_sent(60)
    (sent,) = [lead for lead in stack.sent if lead.person == person.index]
    path = f"crm/{sent.system}/records/{sent.record_id}"
    name = PHONES[sent.system]
    wait_for("the phone in the CRM", 90, lambda: stack.sandbox("GET", path)["fields"].get(name))
    stack.settle(30)

    event, answer = (item for item in works(stack, sent.record_id) if item["kind"] in {"event", "answer"})
    assert (event["kind"], event["outcome"], event["missing"]["phone"]) == ("event", "partial", "pending")
    assert (answer["kind"], answer["state"]) == ("answer", "done")
    assert "phone" not in answer["missing"]
    assert answer["run_id"], "a run of the lane took the answer up"
    assert event["run_id"] != answer["run_id"]
    record = stack.sandbox("GET", path)["fields"]
    assert digits(record[name]) == digits(world.coverage.mobile(person))
    writes = [w for w in stack.sandbox("GET", "crm/writes")["writes"] if w["id"] == sent.record_id]
    assert [("phone" in str(w["new"])) for w in writes if w["field"] == GAPS[sent.system]] == [True, False]
    assert [w["field"] for w in writes].count(name) == 1

    counters = stack.sandbox("GET", "counters")
    delivered = [found["callbacks"].get("apollo.phone", {}).get("delivered", 0) for found in (before, counters)]
    assert delivered[1] == delivered[0] + 1
    asked = [found["calls"].get("apollo.webhook_result", 0) for found in (before, counters)]
    assert asked[0] == asked[1], "it came by itself, nobody had to ask for it"
    (order,) = orders(stack, person)
    assert (order["state"], order["cost_micros"], order["answer"]) == ("hit", 160_000, "answered")
    assert forge(stack, "apollo", "B" * 43) == 404
    assert stack.sandbox("GET", path)["fields"] == record
    assert [item["kind"] for item in works(stack, sent.record_id)].count("answer") == 1


def spend(stack: Stack, *words: str) -> list[str]:
    """Run ``enrichment spend``; returns what is stopped after it."""
    done = call(environment(stack.config, stack.home), "spend", *words, "--json")
    assert done.exit_code == 0, done.output
    return [stop["provider"] for stop in json.loads(done.stdout)["stops"]]


def test_a_stop_is_obeyed_by_a_run_at_work_and_follow_ups_complete_what_it_left(stack: Stack, world: World) -> None:
    stack.faults({"apollo.*": SLOW, "clearbit.*": SLOW, "zerobounce.*": SLOW})
    stack.send(LEADS, rate=0, seed=5, first_person=FIRST_OF_STOPPED)
    stack.wait_for_calls()
    try:
        assert spend(stack, "--stop", "all") == ["all"]
        time.sleep(1)
        calls = stack.provider_calls()
        (stop,) = SpendingStore(stack.stores.ops, stack.stores.clock).stops()
        stack.wait_sent(60)
        stack.settle(90)
        assert stack.provider_calls() == calls
        events = [works(stack, lead.record_id)[0] for lead in stopped_leads(stack, world)]
        assert events
        assert all("policy" in event["missing"].values() for event in events)
        opened = select(func.count()).where(attempts.c.sent_at_ms > to_ms(stop.stopped_at) + 1_000)
        with stack.stores.ops.read() as connection:
            assert connection.execute(opened).scalar_one() == 0
    finally:
        stack.faults({})
        assert spend(stack, "--resume", "all") == []

    def left() -> list[str]:
        records = [lead.record_id for lead in stopped_leads(stack, world)]
        return [record for record in records if not any(is_complete(row) for row in works(stack, record))]

    wait_for("follow-ups that complete every lead", 90, lambda: not left())
    assert set(hits(stack).values()) == {1}, "what was bought before the stop is not bought again"


def stopped_leads(stack: Stack, world: World) -> list[Any]:
    of_test = range(FIRST_OF_STOPPED, FIRST_OF_STOPPED + LEADS)
    return [lead for lead in stack.sent if lead.person in of_test and world.person(lead.person).is_business]


def is_complete(row: Any) -> bool:
    return row["kind"] == "gap_fill" and row["state"] == "done" and "policy" not in row["missing"].values()


def hits(stack: Stack) -> Counter[tuple[str, ...]]:
    """How often an answer was paid for, by provider, purpose and subject."""
    statement = select(attempts.c.provider, attempts.c.purpose, attempts.c.subject_key).where(attempts.c.state == "hit")
    with stack.stores.ops.read() as connection:
        return Counter(tuple(row) for row in connection.execute(statement))
