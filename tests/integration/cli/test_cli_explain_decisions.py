"""What ``enrichment explain`` says of decisions: whom was asked, who was not and why, what others said."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import update
from support.decided import a_step, awaited, decided, follow_up, hours_before, said
from support.story import Installation, call, environment

from enrichment_dagster.cli.explain_steps import REFUSAL_WORDS
from enrichment_dagster.ports import REFUSALS
from enrichment_dagster.store.tables import field_values


def read(installation: Installation, *words: str) -> dict[str, Any]:
    result = call(environment(installation.home), "explain", *words, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def text(installation: Installation, *words: str) -> str:
    return call(environment(installation.home), "explain", *words).stdout


def columns_of(shown: str, title: str) -> list[str]:
    lines = shown.splitlines()
    start = next(number for number, line in enumerate(lines) if line.strip().startswith(title))
    return next(line for line in lines[start + 1 :] if line.strip()).split()


async def test_every_step_is_told_with_all_it_has(installation: Installation) -> None:
    fetched = hours_before(installation, 2)
    step = a_step("apollo.person", "hit", cached=True, fetched_at=fetched, fields=["title", "country"], latency_ms=3)
    event = await decided(installation, step)
    assert read(installation, event.event_id)["steps"] == [
        {
            "work_id": event.event_id,
            "lookup": "apollo.person",
            "result": "hit",
            "reason": "",
            "cached": True,
            "stale": False,
            "hedge": False,
            "fields": ["title", "country"],
            "latency_ms": 3,
            "cost_usd": 0.0,
            "fetched_at": fetched,
            "age_seconds": 7200.0,
        }
    ]
    assert "hit (from the cache, fetched 2 h 0 min before)" in text(installation, event.event_id)


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (a_step("a.b", "hit", hedge=True, cost_micros=20_000), "hit (sent as a hedge)"),
        (a_step("a.b", "hit", stale=True), "hit (stale, from the cache)"),
        (a_step("a.b", "miss"), "knows nothing"),
        (a_step("a.b", "error", reason="throttled"), "failed: throttled"),
        (a_step("a.b", "pending"), "answers later"),
        (a_step("a.b", "refused", reason="budget_event"), "not sent: the event's budget is spent"),
        (a_step("a.b", "not_needed"), "not needed: all its fields were filled"),
        (a_step("a.b", "not_ready", reason="company_domain"), "not ready: company domain"),
        (a_step("a.b", "not_reached", reason="deadline"), "not reached: deadline"),
        ({"lookup": "a.b", "result": "new_kind"}, "new_kind"),
    ],
)
async def test_each_result_has_its_words(step: dict[str, Any], words: str, installation: Installation) -> None:
    event = await decided(installation, step)
    assert words in text(installation, event.event_id)


def test_every_refusal_has_words() -> None:
    assert set(REFUSAL_WORDS) == set(REFUSALS)


async def test_steps_of_follow_ups_name_their_work(installation: Installation) -> None:
    event = await decided(installation, a_step("apollo.phone", "pending"))
    late = follow_up(
        installation,
        event,
        "answer-1",
        kind="answer",
        scope={"lookups": ["apollo.phone"]},
        steps=[a_step("apollo.phone", "hit", fields=["phone"])],
    )
    report = read(installation, event.event_id)
    assert [(step["work_id"], step["result"]) for step in report["steps"]] == [
        (event.event_id, "pending"),
        (late, "hit"),
    ]
    assert (report["follow_ups"][0]["kind"], report["follow_ups"][0]["lookups"]) == ("answer", ["apollo.phone"])
    shown = text(installation, event.event_id)
    assert "late answer: apollo.phone" in shown
    assert "answer-1" in shown


async def test_work_without_steps_is_told_as_before(installation: Installation) -> None:
    event = await decided(installation)
    assert read(installation, event.event_id)["steps"] == []
    assert "Decisions" not in text(installation, event.event_id)


async def test_what_others_said_stands_beside_the_chosen_value(installation: Installation) -> None:
    event = await decided(installation)
    said(installation, event, "apollo", "CTO", confidence=0.9, stale=True, precedence=1)
    said(installation, event, "clearbit", "CEO", chosen=False, precedence=2)
    (field,) = read(installation, event.event_id)["fields"]
    assert (field["value"], field["provider"], field["stale"], field["chosen"]) == ("CTO", "apollo", True, True)
    (other,) = field["alternatives"]
    assert (other["provider"], other["value"], other["confidence"], other["precedence"]) == ("clearbit", "CEO", 0.6, 2)
    shown = text(installation, event.event_id)
    assert "clearbit said 'CEO' (0.6)" in shown
    assert "cached, stale" in shown
    hidden = text(installation, event.event_id, "--no-values")
    assert "clearbit said (hidden) (0.6)" in hidden
    assert "CEO" not in hidden
    assert "CEO" not in json.dumps(read(installation, event.event_id, "--no-values"))


async def test_who_said_the_same_is_named_only(installation: Installation) -> None:
    event = await decided(installation)
    said(installation, event, "apollo", "CTO")
    said(installation, event, "clearbit", "CTO", chosen=False)
    assert "also clearbit" in text(installation, event.event_id)


async def test_an_alternative_without_a_chosen_value_is_not_lost(installation: Installation) -> None:
    event = await decided(installation)
    said(installation, event, "clearbit", "CEO", chosen=False)
    (field,) = read(installation, event.event_id)["fields"]
    assert (field["provider"], field["chosen"], field["alternatives"]) == ("clearbit", False, [])
    assert "not chosen" in text(installation, event.event_id)


async def test_fields_nobody_disputes_have_no_column_for_others(installation: Installation) -> None:
    event = await decided(installation)
    said(installation, event, "apollo", "CTO")
    assert "others" not in text(installation, event.event_id)


async def test_values_of_several_works_say_whose_they_are(installation: Installation) -> None:
    """The routing lane and the event itself each keep the values that they went by: the same fields twice."""
    event = await decided(installation)
    said(installation, event, "apollo", "CTO")
    assert "work" not in columns_of(text(installation, event.event_id), "Fields")
    said(installation, event, "apollo", "CTO", work_id=follow_up(installation, event, "routing"))
    shown = text(installation, event.event_id)
    assert columns_of(shown, "Fields")[0] == "work"
    assert [row.split()[0] for row in shown.splitlines() if " title " in row and "CTO" in row] == ["event", "routing"]


async def test_late_answers_are_shown_with_their_call(installation: Installation) -> None:
    event = await decided(installation, a_step("apollo.phone", "pending"))
    awaited(installation, event)
    report = read(installation, event.event_id)
    (late,) = report["late_answers"]
    assert (late["lookup"], late["state"], late["polls"], late["next_poll_at"]) == ("apollo.phone", "waiting", 2, None)
    assert (report["calls"][0]["state"], report["calls"][0]["role"], report["calls"][0]["units"]) == (
        "pending",
        "hedge",
        8,
    )
    shown = text(installation, event.event_id)
    assert "Late answers" in shown
    assert "phone (hedge)" in shown
    assert "$0.160 (8 units)" in shown
    assert "pending: a provider answers later" in shown


async def test_what_a_call_cost_stands_at_each_value_that_it_brought(installation: Installation) -> None:
    """The ledger has the price once, on the call's first value, which need not be one that counts."""
    event = await installation.receive()
    await installation.enrich(event)
    with installation.stores.ops.write() as connection:
        connection.execute(update(field_values).values(cost_micros=0))
    bought = [field for field in read(installation, event.event_id)["fields"] if field["origin"] == "bought"]
    assert [(field["cost_usd"], field["call_usd"]) for field in bought] == [(0.0, 0.02)]
    assert "$0.020" in text(installation, event.event_id).partition("Fields (cost")[2].partition("Missing")[0]


async def test_a_lookup_of_a_provider_that_is_not_enabled_is_told(installation: Installation) -> None:
    event = await decided(installation, a_step("apollo.person", "miss"))
    told = read(installation, event.event_id)["passed_over"]
    assert {"lookup": "people_data_labs.person", "reason": "provider people_data_labs is not enabled"} in told
    assert "people_data_labs is not enabled" in text(installation, event.event_id)
    untouched = await installation.receive(777)
    assert read(installation, untouched.event_id)["passed_over"] == []
