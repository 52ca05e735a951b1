from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert
from support.story import FIRST_NAME, Installation, PastClock, call, environment

from assets.lanes import LANES
from enrichment_dagster.cli.status_view import status_view
from enrichment_dagster.gateway.main import note_refusals
from enrichment_dagster.gateway.refusals import RefusalCounts
from enrichment_dagster.ports import KeptBody
from enrichment_dagster.store.database import to_ms
from enrichment_dagster.store.tables import own_writes


def read(installation: Installation) -> tuple[int, dict[str, Any]]:
    result = call(environment(installation.home), "status", "--json")
    return result.exit_code, json.loads(result.stdout)


def tick(installation: Installation) -> None:
    """Every lane's sensor ticks now."""
    for lane in LANES:
        installation.dispatch.beat(f"tick:{lane.event_type}")


async def test_every_received_event_is_accounted_for(installation: Installation) -> None:
    await installation.deliver(await installation.enrich(await installation.receive()))
    installation.clock.move(1)
    await installation.put_off(await installation.enrich(await installation.receive(777), follow_up=False))
    await installation.receive(888)
    installation.clock.move(20)
    tick(installation)
    code, report = read(installation)
    assert code == 0
    assert report["healthy"] is True
    assert report["events"] == {"received": 3, "terminal": 2, "dead": 0, "in_flight": 1, "holds": True}
    assert report["outcomes"] == {"partial": 2}
    assert report["backlog"] == 1
    assert (report["owed"]["entries"], report["owed"]["reasons"]) == (1, {"throttled": 1})
    assert report["owed"]["oldest_seconds"] > 0
    assert report["spend_usd_24h"] == {"apollo": 0.02, "clearbit": 0.0}
    assert report["projector"]["lag"] == report["projector"]["rev"] > 0


async def test_the_keys_stay_as_scripts_know_them(installation: Installation) -> None:
    await installation.receive()
    _, report = read(installation)
    assert list(report) == [
        "at",
        "healthy",
        "problems",
        "events",
        "outcomes",
        "backlog",
        "owed",
        "crm_refused",
        "loops",
        "lanes",
        "spend_usd_24h",
        "money",
        "providers",
        "pending_answers",
        "kept_bodies",
        "kept_body_reasons",
        "refused",
        "projector",
        "beats",
    ]
    assert set(report["lanes"]["lead_created"]) == {
        "passed",
        "message",
        "samples",
        "open",
        "oldest_open_seconds",
        "target_seconds",
        "p50_seconds",
        "p95_seconds",
        "p99_seconds",
        "slow_hop",
        "slow_hop_p95_seconds",
        "coverage",
        "due",
        "lag_seconds",
    }
    assert set(report["lanes"]["lead_created"]["coverage"]) == {"passed", "message", "samples", "coverage", "floor"}


async def test_a_lane_that_breaches_ends_with_1(tmp_path: Path) -> None:
    installation = Installation(tmp_path, PastClock(600))
    await installation.receive()
    installation.close()
    code, report = read(installation)
    lane = report["lanes"]["lead_created"]
    assert code == 1
    assert (report["healthy"], lane["passed"], lane["slow_hop"]) == (False, False, "queue_wait")
    assert lane["oldest_open_seconds"] > 600
    assert "NOT HEALTHY" in call(environment(tmp_path), "status").stdout


async def test_an_account_that_does_not_balance_ends_with_1(installation: Installation) -> None:
    """An event that is gone from the work table must not go unseen."""
    await installation.receive()
    installation.dispatch.pump()
    with installation.stores.ops.write() as connection:
        connection.exec_driver_sql("DELETE FROM work")
    code, report = read(installation)
    assert (code, report["events"]["holds"]) == (1, False)
    assert any("does not balance" in problem for problem in report["problems"])
    assert "≠" in call(environment(installation.home), "status").stdout


async def test_an_old_tick_is_a_dead_daemon(installation: Installation) -> None:
    code, report = read(installation)
    assert code == 1
    assert report["beats"]["tick:lead_created"] == {"at": None, "age_seconds": None, "dead": True}
    installation.clock.move(-20)
    tick(installation)
    installation.dispatch.beat("projector", rev=0)
    _, report = read(installation)
    assert report["beats"]["tick:lead_created"]["dead"] is True
    assert report["beats"]["projector"]["dead"] is False
    assert "DEAD" in call(environment(installation.home), "status").stdout
    installation.clock.move(45)
    tick(installation)
    _, report = read(installation)
    assert report["beats"]["tick:lead_created"]["dead"] is False
    assert report["problems"] == []


async def test_every_event_type_of_the_shipped_file_is_a_lane(installation: Installation) -> None:
    built = [lane.event_type for lane in LANES]
    installation.clock.move(25)
    tick(installation)
    code, report = read(installation)
    assert (code, report["problems"]) == (0, [])
    assert list(report["lanes"]) == built == list(installation.settings.config.event_types)
    assert {name for name in report["beats"] if name.startswith("tick:")} == {f"tick:{name}" for name in built}
    shown = call(environment(installation.home), "status").stdout
    assert "0 ms" not in shown, "a lane without events has no latency"


async def test_how_far_a_sensor_is_behind_is_told(installation: Installation) -> None:
    await installation.receive(1, event_type="website_visit")
    await installation.receive(2, event_type="website_visit")
    installation.dispatch.pump()
    installation.clock.move(25)
    tick(installation)
    lanes = read(installation)[1]["lanes"]
    assert lanes["website_visit"]["due"] == 2
    assert 10 <= lanes["website_visit"]["lag_seconds"] < 60, "from the end of the window in which others may come"
    assert (lanes["lead_created"]["due"], lanes["lead_created"]["lag_seconds"]) == (0, 0.0)
    assert "2 for " in call(environment(installation.home), "status").stdout


async def test_one_sensor_that_does_not_tick_is_named_all_of_them_are_a_dead_daemon(installation: Installation) -> None:
    """Somebody stops a sensor in Dagster, or the daemon is down: what to do differs."""
    assert read(installation)[1]["problems"] == ["Dagster's daemon never ticked; start it with `enrichment up`"]
    installation.clock.move(25)
    for lane in LANES[:-1]:
        installation.dispatch.beat(f"tick:{lane.event_type}")
    (problem,) = read(installation)[1]["problems"]
    assert problem == "data_quality: the sensor bad_contact_data never ticked; start it in Dagster"


async def test_kept_bodies_are_counted(installation: Installation) -> None:
    """By reason: a sender that has changed its form is told from somebody's test."""
    for reason in ("not_json", "bad_object_id", "not_json"):
        await installation.journal.keep(KeptBody("hubspot", reason, "", b"{", installation.clock.now()))
    report = read(installation)[1]
    assert report["kept_bodies"] == 3
    assert report["kept_body_reasons"] == {"not_json": 2, "bad_object_id": 1}
    assert "bad_object_id 1, not_json 2" in call(environment(installation.home), "status").stdout


async def test_whom_the_gateway_refuses_at_the_door_is_shown_for_a_day(installation: Installation) -> None:
    """A secret that was changed on one side only: everything else looks healthy, for nothing comes in."""
    refused = RefusalCounts()
    for reason in ("bad_signature", "bad_signature", "stale"):
        refused.add("hubspot", reason)
    note_refusals(refused, installation.dispatch)
    assert refused.take() == {}
    _, report = read(installation)
    assert report["refused"] == {"hubspot": {"bad_signature": 2, "stale": 1}}
    assert not any("refused" in name for name in report["beats"])
    output = call(environment(installation.home), "status").stdout
    assert "requests refused: hubspot" in output
    assert "bad_signature 2, stale 1" in output
    installation.clock.move(-86_400)
    refused.add("hubspot", "stale")
    note_refusals(refused, installation.dispatch)
    assert read(installation)[1]["refused"] == {}


async def test_the_tables_show_no_person(installation: Installation) -> None:
    await installation.deliver(await installation.enrich(await installation.receive()))
    output = call(environment(installation.home), "status").stdout
    assert "partial 1" in output
    for text in ("jane", "acme", "Jane"):
        assert text not in output


async def test_watch_refreshes_until_it_is_stopped(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", pause)
    installation.clock.move(25)
    tick(installation)
    result = call(environment(installation.home), "status", "--watch", "--json")
    assert result.exit_code == 0
    assert pauses == [2.0, 2.0]
    assert [json.loads(line)["healthy"] for line in result.stdout.splitlines()] == [True, True]
    pauses.clear()
    assert call(environment(installation.home), "status", "--watch").stdout.count("Events") == 2


async def test_the_view_takes_any_report(installation: Installation) -> None:
    installation.clock.move(-timedelta(hours=2).total_seconds())
    await installation.receive()
    assert status_view(read(installation)[1]) is not None


async def test_loops_that_were_prevented_are_counted_with_what_they_would_have_cost(
    installation: Installation,
) -> None:
    await installation.deliver(await installation.enrich(await installation.receive(), follow_up=False))
    assert read(installation)[1]["loops"]["prevented_24h"] == {}
    said = {"propertyName": "firstname", "propertyValue": FIRST_NAME}
    for _ in range(3):
        installation.clock.move(1)
        await installation.receive(attributes=said, occurred_at=installation.clock.now())
    await installation.receive(
        attributes=said, event_type="unsupported", skip_reason="unsupported_event_type", sender_event_id="9",
        dedup_key="another", event_id="evt_another",
    )  # fmt: skip
    installation.dispatch.pump()
    installation.clock.move(15)
    tick(installation)
    code, report = read(installation)
    assert (code, report["loops"]["passed"]) == (0, True)
    assert report["loops"]["prevented_24h"] == {
        "lead_created": {"own_write": 3, "causality_depth": 0, "saved_usd": 0.06},
        "unsupported": {"own_write": 1, "causality_depth": 0, "saved_usd": 0.0},
    }
    shown = call(environment(installation.home), "status").stdout
    assert "Events that our own writes caused" in shown
    assert "$0.06" in shown


async def test_a_record_that_is_written_again_and_again_is_a_problem(installation: Installation) -> None:
    row = {"event_id": "evt_1", "depth": 0, "system": "hubspot", "object_type": "contact", "record_id": "7"}
    at = {"noted_at_ms": to_ms(installation.clock.now()), "claimed_at_ms": to_ms(installation.clock.now())}
    rows = [{**row, **at, "outbox_id": f"out-{n}", "fingerprints": {}, "claims": 1} for n in range(11)]
    with installation.stores.ops.write() as connection:
        connection.execute(insert(own_writes), rows)
    installation.clock.move(25)
    tick(installation)
    code, report = read(installation)
    assert code == 1
    (problem,) = report["problems"]
    assert problem.startswith("crm_writeback: 1 record was written more than 10 times in an hour, the busiest 11 times")


@pytest.mark.parametrize(("minutes", "code"), [(4, 0), (6, 1)])
async def test_a_warehouse_that_stays_behind_is_a_problem(tmp_path: Path, minutes: int, code: int) -> None:
    """A full disk, a lost permission: those who query it would not see it."""
    clock = PastClock(minutes * 60)
    installation = Installation(tmp_path, clock)
    await installation.deliver(await installation.enrich(await installation.receive()))
    clock.moment = datetime.now(UTC)
    tick(installation)
    found, report = read(installation)
    words = [problem.split(";")[0] for problem in report["problems"]]
    behind = f"the warehouse is {report['projector']['rev']} changes behind, for {minutes} minutes"
    assert (found, words) == (code, [behind] if code else [])
    installation.dispatch.beat("projector", rev=report["projector"]["rev"])
    assert read(installation)[1]["problems"] == []
    installation.close()
