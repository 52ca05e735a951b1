"""What ``enrichment send`` posts: accepted by the product's own verifier and parser."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click
import pytest
from support.story import environment

from enrichment_dagster.cli.delivery import make_delivery, sender_of
from enrichment_dagster.cli.payloads import hubspot_contact_created, salesforce_lead_created
from enrichment_dagster.cli.post import Answer, checked_url
from enrichment_dagster.errors import ConfigurationError
from enrichment_dagster.intake.registry import build_senders
from enrichment_dagster.intake.sender import RawRequest
from enrichment_dagster.settings import Settings, load_settings

NOW = datetime(2026, 9, 21, 12, tzinfo=UTC)
NOW_MS = round(NOW.timestamp() * 1_000)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(environment(tmp_path))


def test_hubspots_event_passes_our_own_door(settings: Settings) -> None:
    delivery = make_delivery(settings, "hubspot", hubspot_contact_created(123, 62515, 5, NOW_MS), NOW_MS)
    sender = next(item for item in build_senders(settings) if item.path == delivery.path)
    headers = {name.lower(): value for name, value in delivery.headers.items()}
    sender.verify(RawRequest("POST", headers, delivery.body), NOW)
    (event,) = sender.parse(delivery.body, NOW).events
    assert (event.event_type, event.subject.key, event.skip_reason) == ("lead_created", "hubspot:contact:123", "")
    assert event.occurred_at == NOW


def test_flows_event_passes_our_own_door(settings: Settings) -> None:
    body = salesforce_lead_created("00Q5f000001abcD", "jane@acme.com", "Acme", NOW)
    delivery = make_delivery(settings, "salesforce", body, NOW_MS)
    sender = next(item for item in build_senders(settings) if item.path == delivery.path)
    headers = {name.lower(): value for name, value in delivery.headers.items()}
    sender.verify(RawRequest("POST", headers, delivery.body), NOW)
    (event,) = sender.parse(delivery.body, NOW).events
    assert event.attributes == {"email": "jane@acme.com", "company": "Acme"}
    assert event.occurred_at == NOW


def test_a_delivery_does_not_show_its_secret(settings: Settings) -> None:
    assert "flow-secret" not in repr(make_delivery(settings, "salesforce", b"{}", NOW_MS))


def test_the_second_secret_is_used_while_the_first_is_not_set(tmp_path: Path) -> None:
    text = Path(environment(tmp_path)["ENRICHMENT_CONFIG"]).read_text()
    path = tmp_path / "two.yaml"
    path.write_text(text.replace("[SALESFORCE_FLOW_SECRET]", "[NEW_FLOW_SECRET, SALESFORCE_FLOW_SECRET]"))
    found = load_settings(environment(tmp_path, ENRICHMENT_CONFIG=str(path)))
    assert "flow-secret-0001" in make_delivery(found, "salesforce", b"{}", NOW_MS).headers.values()


@pytest.mark.parametrize("sender", ["hubspot", "salesforce"])
def test_a_secret_that_is_not_set_is_named(sender: str, tmp_path: Path) -> None:
    settings = load_settings(environment(tmp_path, HUBSPOT_CLIENT_SECRET="", SALESFORCE_FLOW_SECRET=""))
    with pytest.raises(ConfigurationError, match="set the environment variable"):
        make_delivery(settings, sender, b"[]", NOW_MS)  # type: ignore[arg-type]


def test_the_form_of_a_body_tells_its_sender() -> None:
    assert (sender_of(b"[]"), sender_of(b"{}")) == ("hubspot", "salesforce")
    for body in (b"1", b"{"):
        with pytest.raises(click.UsageError, match="--as"):
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
        (Answer(200, {"accepted": 0, "kept": 1, "reason": "not_json"}), "not_json: the body"),
        (Answer(200, {"accepted": 1, "rejected": 2}), "2 events"),
        (Answer(302, {}), "HTTP 302"),
        (Answer(502, {}), "HTTP 502"),
    ],
)
def test_anything_but_all_taken_is_a_refusal(answer: Answer, refusal: str) -> None:
    assert answer.refusal.startswith(refusal)
    assert bool(answer.refusal) == bool(refusal)
