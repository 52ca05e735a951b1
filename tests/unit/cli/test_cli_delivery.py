"""What ``enrichment send`` posts: accepted by the product's own verifier and parser."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click
import pytest
from support.story import environment

from enrichment_dagster.cli.delivery import make_delivery, sender_of
from enrichment_dagster.cli.payloads import SAMPLES, About, sample_body
from enrichment_dagster.cli.post import Answer, checked_url
from enrichment_dagster.domain.event import Event
from enrichment_dagster.errors import ConfigurationError
from enrichment_dagster.intake.registry import SENDERS, build_senders
from enrichment_dagster.intake.sender import RawRequest
from enrichment_dagster.settings import Settings, load_settings
from enrichment_dagster.supervise.environment import Ports, sandbox_variables

NOW = datetime(2026, 9, 21, 12, tzinfo=UTC)
NOW_MS = round(NOW.timestamp() * 1_000)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """With the secret of every sender."""
    return load_settings({**sandbox_variables(Ports()), **environment(tmp_path)})


def received(settings: Settings, sender: str, body: bytes) -> Event:
    delivery = make_delivery(settings, sender, body, NOW_MS)
    path, _, query = delivery.path.partition("?")
    door = next(item for item in build_senders(settings) if item.path == path)
    headers = {name.lower(): value for name, value in delivery.headers.items()}
    request = RawRequest("POST", headers, delivery.body, query)
    door.verify(request, NOW)
    (event,) = door.parse(request, NOW).events
    return event


def test_there_is_a_sample_of_every_sender() -> None:
    assert SAMPLES.keys() == SENDERS.keys()


@pytest.mark.parametrize("sender", SAMPLES)
def test_every_sample_passes_our_own_door_and_would_be_enriched(sender: str, settings: Settings) -> None:
    event = received(settings, sender, sample_body(sender, About(NOW, 5)))
    assert (event.source, event.skip_reason) == (sender, "")
    assert event.event_type in settings.config.event_types
    assert abs((event.occurred_at - NOW).total_seconds()) < 1
    again = received(settings, sender, sample_body(sender, About(NOW, 5)))
    other = received(settings, sender, sample_body(sender, About(NOW.replace(second=1), 6, email="joe@acme.org")))
    assert again.event_id == event.event_id
    assert sender == "bombora" or other.event_id != event.event_id


def test_hubspots_event_is_about_the_contact(settings: Settings) -> None:
    event = received(settings, "hubspot", sample_body("hubspot", About(NOW, 5, contact=123)))
    assert (event.event_type, event.subject.key) == ("lead_created", "hubspot:contact:123")
    assert event.occurred_at == NOW


def test_flows_event_carries_what_is_known_of_the_lead(settings: Settings) -> None:
    event = received(settings, "salesforce", sample_body("salesforce_flow", About(NOW, 5, lead="00Q5f000001abcD")))
    assert event.attributes == {"email": "jane@acme.com", "company": "Acme"}
    assert event.occurred_at == NOW


def test_a_json_body_of_twilio_stands_in_the_url_as_a_hash(settings: Settings) -> None:
    body = b'{"CallSid": "CA1", "CallStatus": "busy", "To": "+14155550132"}'
    assert received(settings, "twilio", body).skip_reason == "unreachable"


def test_a_delivery_does_not_show_its_secret(settings: Settings) -> None:
    assert "flow-secret" not in repr(make_delivery(settings, "salesforce", b"{}", NOW_MS))


def test_the_second_secret_is_used_while_the_first_is_not_set(tmp_path: Path) -> None:
    text = Path(environment(tmp_path)["ENRICHMENT_CONFIG"]).read_text()
    path = tmp_path / "two.yaml"
    path.write_text(text.replace("[SALESFORCE_FLOW_SECRET]", "[NEW_FLOW_SECRET, SALESFORCE_FLOW_SECRET]"))
    found = load_settings(environment(tmp_path, ENRICHMENT_CONFIG=str(path)))
    assert "flow-secret-0001" in make_delivery(found, "salesforce", b"{}", NOW_MS).headers.values()


@pytest.mark.parametrize("sender", SAMPLES)
def test_a_secret_that_is_not_set_is_named(sender: str, tmp_path: Path) -> None:
    settings = load_settings(environment(tmp_path, HUBSPOT_CLIENT_SECRET="", SALESFORCE_FLOW_SECRET=""))
    with pytest.raises(ConfigurationError, match="set the environment variable"):
        make_delivery(settings, sender, b"[]", NOW_MS)


def test_a_sender_that_is_not_configured_is_told(tmp_path: Path) -> None:
    text = Path(environment(tmp_path)["ENRICHMENT_CONFIG"]).read_text()
    path = tmp_path / "none.yaml"
    path.write_text(text.replace("clay: {enabled: auto, secret_envs", "clay: {enabled: false, secret_envs"))
    found = load_settings(environment(tmp_path, ENRICHMENT_CONFIG=str(path)))
    with pytest.raises(ConfigurationError, match=r"intake\.clay: not configured"):
        make_delivery(found, "clay", b"{}", NOW_MS)


def test_the_form_of_a_body_tells_its_sender() -> None:
    assert (sender_of(b"[]"), sender_of(b"{}")) == ("hubspot", "salesforce_flow")
    for body in (b"1", b"{"):
        with pytest.raises(click.UsageError, match="--sender"):
            sender_of(body)


@pytest.mark.parametrize("url", ["ftp://x", "gateway:8080", "", "http://", "http://me:pw@host"])
def test_only_a_plain_http_url_is_a_gateways(url: str) -> None:
    with pytest.raises(click.UsageError) as caught:
        checked_url(url)
    assert "pw@" not in caught.value.message


@pytest.mark.parametrize(
    ("answer", "refusal"),
    [
        (Answer(200, {"accepted": 1, "event_ids": ["e"]}), ""),
        (Answer(200, {"accepted": 0, "duplicates": 1}), ""),
        (Answer(401, {"error": {"reason": "stale", "detail": "old"}}), "stale: old"),
        (Answer(401, {"error": "stale: old", "should_enrich": True}), "stale: old"),
        (Answer(200, {"accepted": 0, "kept": 1, "reason": "not_json"}), "not_json: the body"),
        (Answer(200, {"accepted": 1, "rejected": 2}), "2 events"),
        (Answer(302, {}), "HTTP 302"),
        (Answer(502, {}), "HTTP 502"),
    ],
)
def test_anything_but_all_taken_is_a_refusal(answer: Answer, refusal: str) -> None:
    assert answer.refusal.startswith(refusal)
    assert bool(answer.refusal) == bool(refusal)
