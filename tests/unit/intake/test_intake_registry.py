"""Senders from the settings: every missing secret is named at once."""

import json
from pathlib import Path

import pytest
import yaml
from support.intake import NOW, hubspot_headers, read, sample, signature

from enrichment_dagster.errors import ConfigurationError, SignatureError
from enrichment_dagster.intake.registry import SENDERS, build_senders
from enrichment_dagster.intake.sender import RawRequest
from enrichment_dagster.settings import load_settings, waiting_senders
from enrichment_dagster.supervise.environment import Ports, sandbox_variables

PROJECT = Path(__file__).parents[3]
BODY = sample("hubspot-webhook-contact-creation.json")


@pytest.fixture
def settings(tmp_path):
    def build(change=lambda config: None, **environ):
        config = yaml.safe_load((PROJECT / "enrichment.yaml").read_text())
        change(config)
        path = tmp_path / "enrichment.yaml"
        path.write_text(yaml.safe_dump(config))
        return load_settings({"ENRICHMENT_CONFIG": str(path), "ENRICHMENT_HOME": str(tmp_path), **environ})

    return build


SECRETS = {"HUBSPOT_CLIENT_SECRET": "test-client-secret-0001", "SALESFORCE_FLOW_SECRET": "flow"}


def test_what_has_its_secret_is_served_the_rest_of_auto_waits(settings):
    built = settings(**SECRETS)
    senders = build_senders(built)
    # A workflow signs with the secret of the app.
    assert {s.name: s.path for s in senders} == {
        "hubspot": "/webhooks/hubspot",
        "hubspot_workflow": "/webhooks/hubspot/workflow",
        "salesforce_flow": "/webhooks/salesforce/flow",
    }
    senders[0].verify(RawRequest("POST", hubspot_headers(BODY), BODY), NOW)
    waiting = waiting_senders(built)
    assert {s.name for s in senders} | waiting.keys() == SENDERS.keys()
    assert waiting["segment"] == "SEGMENT_SHARED_SECRET"
    more = build_senders(settings(SEGMENT_SHARED_SECRET="s", **SECRETS))
    assert "segment" in {s.name for s in more}


def test_with_every_secret_every_sender_is_served(settings):
    built = build_senders(settings(**sandbox_variables(Ports())))
    assert {s.name for s in built} == SENDERS.keys()
    assert len({s.path for s in built}) == len(built)


def test_an_enabled_sender_needs_its_secret_and_a_disabled_one_is_not_built(settings):
    def enable(enabled):
        return lambda config: config["intake"]["segment"].update(enabled=enabled)

    with pytest.raises(ConfigurationError, match="SEGMENT_SHARED_SECRET"):
        build_senders(settings(enable(True), **SECRETS))
    senders = build_senders(settings(enable(False), SEGMENT_SHARED_SECRET="s", **SECRETS))
    assert "segment" not in {s.name for s in senders}


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SENDGRID_PUBLIC_KEY", "not base64!"),
        ("SENDGRID_PUBLIC_KEY", "c2hvcnQ="),
        ("STANDARD_WEBHOOKS_SECRET", "whsec_c2hvcnQ="),
        ("STANDARD_WEBHOOKS_SECRET", "no-prefix"),
    ],
)
def test_a_secret_of_the_wrong_form_is_told_without_being_shown(settings, variable, value):
    with pytest.raises(ConfigurationError) as caught:
        build_senders(settings(**{variable: value}, **SECRETS))
    (problem,) = caught.value.problems
    assert problem.startswith(variable)
    assert value not in problem


def test_all_missing_secrets_are_named_at_once(settings):
    with pytest.raises(ConfigurationError) as caught:
        build_senders(settings(HUBSPOT_CLIENT_SECRET="  "))
    assert len(caught.value.problems) == 2
    assert "HUBSPOT_CLIENT_SECRET" in caught.value.problems[0]
    assert "SALESFORCE_FLOW_SECRET" in caught.value.problems[1]


def test_one_of_two_secrets_is_enough(settings):
    def two(config):
        config["intake"]["hubspot"]["client_secret_envs"] = ["NEW_SECRET", "HUBSPOT_CLIENT_SECRET"]

    sender = build_senders(settings(two, **SECRETS))[0]
    sender.verify(RawRequest("POST", hubspot_headers(BODY), BODY), NOW)
    both = build_senders(settings(two, NEW_SECRET="new", **SECRETS))[0]
    both.verify(RawRequest("POST", hubspot_headers(BODY, secret="new"), BODY), NOW)


def test_a_sender_that_is_left_out_is_not_built(settings):
    senders = build_senders(settings(lambda c: c["intake"].pop("hubspot"), SALESFORCE_FLOW_SECRET="flow"))
    assert "hubspot" not in {s.name for s in senders}
    assert [s.name for s in senders] == ["salesforce_flow"]


def test_the_public_url_of_the_environment_is_what_is_signed(settings):
    sender = build_senders(settings(ENRICHMENT_PUBLIC_URL="https://other.example/", **SECRETS))[0]
    with pytest.raises(SignatureError):
        sender.verify(RawRequest("POST", hubspot_headers(BODY), BODY), NOW)
    headers = hubspot_headers(BODY)
    timestamp = headers["x-hubspot-request-timestamp"]
    headers["x-hubspot-signature-v3"] = signature(BODY, timestamp, url="https://other.example/webhooks/hubspot")
    sender.verify(RawRequest("POST", headers, BODY), NOW)


def test_without_a_trigger_for_leads_nothing_is_enriched(settings):
    def rename(config):
        config["event_types"]["company_added"] = config["event_types"].pop("lead_created")

    sender = build_senders(settings(rename, **SECRETS))[0]
    assert read(sender, BODY).events[0].skip_reason == "unsupported_event_type"


@pytest.mark.parametrize("name", ["hubspot_workflow", "hubspot_custom_code"])
def test_whom_the_policies_leave_alone_is_known_to_whoever_tells_it(settings, name):
    def listing(config):
        config["event_types"]["lead_created"]["policy"]["skip_domains"] = ["competitor.example"]

    built = settings(listing, HUBSPOT_CUSTOM_CODE_SECRET="s", **SECRETS)
    (sender,) = (sender for sender in build_senders(built) if sender.name == name)
    body = {"contact_id": 7, "object": {"objectId": 7, "objectType": "CONTACT"}, "event_type": "lead_created"}
    for email, reason in (("a@competitor.example", "skipped_domain"), ("a@gmail.com", "personal_email")):
        parsed = read(sender, json.dumps({**body, "email": email, "inputFields": {"email": email}}).encode())
        assert sender.answer(parsed, [True])["reason"] == reason
