"""Each sender takes what the benchmarks send in its name for the event type that it stands for."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from support.senders import settings as shipped_settings

from benchmarks.crm import EmulatedCrms
from benchmarks.happenings import NEVER_TWICE, REPEAT_EVERY, SCENES, Cast, Happening, happenings
from benchmarks.mixed import Passed, judge
from benchmarks.results import Result
from enrichment_dagster.domain.event import Event
from enrichment_dagster.intake.registry import build_senders
from enrichment_dagster.intake.sender import RawRequest
from enrichment_dagster.sandbox import RunningSandbox, SandboxConfig, running_sandbox
from enrichment_dagster.supervise.environment import Ports

NOW = datetime(2026, 9, 21, 12, 53, 21, tzinfo=UTC)
ROUNDS = 21  # each of the seven senders of leads three times; the repeats among the others twice
SETTINGS = shipped_settings()
SENDERS = {sender.name: sender for sender in build_senders(SETTINGS)}


@pytest.fixture(scope="module")
def emulators() -> Iterator[RunningSandbox]:
    with running_sandbox(SandboxConfig(people=2_000, companies=300)) as running:
        yield running


@pytest.fixture(scope="module")
def told(emulators: RunningSandbox) -> list[Happening]:
    with closing(EmulatedCrms(Ports(sandbox=urlsplit(emulators.url).port or 0))) as crms:
        return happenings(Cast(crms, emulators.state.world), ROUNDS * len(SCENES))


def received(happening: Happening, number: int) -> Event:
    """The event that its sender's own door makes of a happening, signature and all."""
    at = NOW + timedelta(seconds=number)
    head, _, body = happening.request(SETTINGS, at, number).partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    target, sender = urlsplit(first.split(" ")[1]), SENDERS[happening.sender]
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    raw = RawRequest("POST", headers, body, target.query)
    assert target.path == sender.path
    sender.verify(raw, at)
    parsed = sender.parse(raw, at)
    assert not parsed.rejects
    assert len({event.event_id for event in parsed.events}) == 1
    return parsed.events[0]


def test_every_happening_triggers_as_what_it_is(told: list[Happening]) -> None:
    events = [received(happening, number) for number, happening in enumerate(told)]
    assert [(event.event_type, event.skip_reason) for event in events] == [(one.event_type, "") for one in told]
    assert len({event.event_id for event in events}) == len(events), "none is taken for a repeat of another"


def test_every_sender_tells_of_something(told: list[Happening]) -> None:
    assert {happening.sender for happening in told} == set(SENDERS)
    assert Counter(happening.event_type for happening in told) == dict.fromkeys(SCENES, ROUNDS)


def test_some_subjects_are_met_twice(told: list[Happening]) -> None:
    for event_type in SCENES:
        subjects = [
            received(one, number).subject.key for number, one in enumerate(told) if one.event_type == event_type
        ]
        repeats = 0 if event_type in NEVER_TWICE else ROUNDS // REPEAT_EVERY
        assert len(subjects) - len(set(subjects)) == repeats, event_type


def test_records_are_what_is_told_of_them(told: list[Happening], emulators: RunningSandbox) -> None:
    """The deal that is said to have reached a stage has reached it, the contact is linked to the company."""
    stage = next(one for one in told if (one.event_type, one.sender) == ("opportunity_stage_changed", "hubspot"))
    (change,) = json.loads(stage.body(NOW, 1))
    deal = emulators.state.stores["hubspot", "deal"].records[str(change["objectId"])]
    assert deal.fields["dealstage"] == change["propertyValue"]
    linked = next(one for one in told if (one.event_type, one.sender) == ("contact_associated", "hubspot"))
    change = json.loads(linked.body(NOW, 1))[0]
    company = emulators.state.links.primary("contact", str(change["fromObjectId"]))
    assert company == str(change["toObjectId"])


# --- what is made of it -----------------------------------------------------------------------------------------------


def judged(*passed: Passed, left: int = 0) -> Result:
    result = Result("mixed", "H.", True, {}, {})
    result.series["acknowledged ms"] = [1.0]
    result.details.update(
        left={"deliveries owed": left},
        queues_empty_after_seconds=3.0,
        rejected_by_crms=0,
        runs=4,
        seconds=10.0,
        cpu_seconds_while_they_came={"gateway": 9.0, "daemon": 3.0},
        cpu_seconds_until_the_last_run_ended={"gateway": 20.0},
    )
    targets = {**dict.fromkeys(SCENES, 120.0), "lead_created": 60.0}
    judge(result, passed, targets, growth_kb=4.9)
    return result


def verdicts_of(result: Result) -> dict[str, str]:
    return {figure.name: figure.verdict for figure in result.figures}


def of_each_type(seconds: float) -> list[Passed]:
    return [Passed(event_type, seconds, "enriched", written=event_type == "lead_created") for event_type in SCENES]


def test_each_type_has_its_own_target() -> None:
    verdicts = verdicts_of(judged(*of_each_type(90.0)))
    assert verdicts["lead_created, until its end, p99"] == "MISSED"
    assert verdicts["intent_signal, until its end, p99"] == "met"
    assert verdicts["events without an end"] == "met"
    assert verdicts["processor while they came"] == "met"
    assert verdicts["growth of Dagster's storage per event"] == "met"


def test_what_has_no_end_is_not_passed_over() -> None:
    verdicts = verdicts_of(judged(*of_each_type(1.0), Passed("lead_created", None, "none"), left=1))
    assert verdicts["events without an end"] == "MISSED"
    assert verdicts["left in queues, all kinds"] == "MISSED"


def test_what_was_written_and_what_was_skipped_is_told_apart() -> None:
    skipped = [Passed("lead_created", 0.5, "skipped", "personal_email")] * 3
    result = judged(*of_each_type(2.0), *skipped)
    shares = {figure.name: figure.measured for figure in result.figures}
    assert shares["lead_created, events that a CRM was written to"] == 25
    assert shares["lead_created, events skipped"] == 75
    assert result.series["lead_created, written s"] == [2.0]
    assert result.series["lead_created, skipped s"] == [0.5] * 3
    assert result.details["outcomes of lead_created"] == {"skipped personal_email": 3, "enriched": 1}
