"""What each sender's documented bodies mean; what all of them have in common is the contract suite's."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from support.intake import ALL, NOW, encode, read, sample

from enrichment_dagster.domain.event import Event, RecordRef
from enrichment_dagster.domain.triggers import TriggerRules, Triggers
from enrichment_dagster.errors import PayloadError
from enrichment_dagster.intake.bombora import Bombora
from enrichment_dagster.intake.clay import Clay
from enrichment_dagster.intake.cloudevents import CloudEvents
from enrichment_dagster.intake.g2 import G2
from enrichment_dagster.intake.hubspot_custom_code import HubSpotCustomCode
from enrichment_dagster.intake.hubspot_workflow import HubSpotWorkflow
from enrichment_dagster.intake.json_sender import JsonSender
from enrichment_dagster.intake.linkedin import LinkedIn
from enrichment_dagster.intake.postmark import Postmark
from enrichment_dagster.intake.proof.linkedin import LinkedInSignature
from enrichment_dagster.intake.proof.shared_secret import SharedSecret
from enrichment_dagster.intake.salesforce_flow import SalesforceFlow
from enrichment_dagster.intake.segment import Segment
from enrichment_dagster.intake.sender import Parsed, RawRequest
from enrichment_dagster.intake.sendgrid import SendGrid
from enrichment_dagster.intake.standard_webhooks import StandardWebhooks
from enrichment_dagster.intake.twilio import Twilio

NO_PROOF = SharedSecret((b"x",), "x")  # what is not asked here
DANA = RecordRef("person", "email", "dana.reyes@northwind-parts.com")
ACCOUNT = RecordRef("account", "domain", "northwind-parts.com")
CONTACT = RecordRef("hubspot", "contact", "1246978")


def make(kind: type[JsonSender], *more: Any, triggers: Triggers = ALL) -> JsonSender:
    return kind(NO_PROOF, triggers, *more)


def one(sender: JsonSender, body: Any, headers: dict[str, str] | None = None, **how: Any) -> Event:
    parsed = read(sender, body if isinstance(body, bytes) else encode(body), headers or {}, **how)
    assert not parsed.rejects
    (event,) = parsed.events
    return event


def refused(sender: JsonSender, body: Any, headers: dict[str, str] | None = None) -> str:
    with pytest.raises(PayloadError) as caught:
        read(sender, body if isinstance(body, bytes) else encode(body), headers or {})
    return caught.value.reason


def documented(name: str) -> Any:
    return json.loads(sample(name))


# --- HubSpot workflow and custom code --------------------------------------------------------------------------------

PROFILE = {
    "vid": 1246978,
    "canonical-vid": 1246978,
    "portal-id": 62515,
    "is-contact": True,
    "properties": {
        "email": {"value": "dana.reyes@northwind-parts.com", "versions": []},
        "firstname": {"value": "Dana"},
        "company": {"value": "Northwind Parts"},
        "createdate": {"value": "1790000001000"},
    },
    "identity-profiles": [],
}


def test_a_workflows_customised_body() -> None:
    event = one(make(HubSpotWorkflow), sample("hubspot-workflow-webhook-custombody.json"))
    assert (event.event_type, event.subject, event.occurred_at) == ("lead_created", CONTACT, NOW)
    assert event.attributes == {"email": "dana.reyes@northwind-parts.com", "company": "Northwind Parts"}


def test_a_workflows_default_body_is_a_created_lead() -> None:
    event = one(make(HubSpotWorkflow), PROFILE)
    assert (event.event_type, event.subject) == ("lead_created", CONTACT)
    assert event.attributes["first_name"] == "Dana"
    assert event.attributes["email"] == "dana.reyes@northwind-parts.com"


def test_a_contact_that_is_enrolled_twice_is_one_lead_unless_the_workflow_sends_the_time() -> None:
    body = documented("hubspot-workflow-webhook-custombody.json")
    sender, later = make(HubSpotWorkflow), NOW + timedelta(days=90)
    assert one(sender, body).event_id == one(sender, {**body, "contact_id": 1246978}, now=later).event_id
    timed = one(sender, {**body, "timestamp": "2026-09-21T12:53:21Z"})
    assert timed.event_id != one(sender, body).event_id
    assert timed.occurred_at == datetime(2026, 9, 21, 12, 53, 21, tzinfo=UTC)


def test_what_is_no_creation_is_one_event_a_day_where_no_time_is_sent() -> None:
    body = {"deal_id": "7", "event_type": "opportunity_stage_changed", "stage": "contractsent"}
    sender = make(HubSpotWorkflow)
    event = one(sender, body)
    assert (event.event_type, event.subject) == ("opportunity_stage_changed", RecordRef("hubspot", "deal", "7"))
    assert one(sender, body, now=NOW + timedelta(hours=1)).event_id == event.event_id
    assert one(sender, body, now=NOW + timedelta(days=1)).event_id != event.event_id
    assert one(sender, {**body, "stage": "closedwon"}).event_id != event.event_id


def outputs(event: Any, sender: HubSpotCustomCode | None = None) -> dict[str, Any]:
    sender = sender or HubSpotCustomCode(NO_PROOF, ALL, frozenset({"lead_created"}))
    parsed = read(sender, encode(event))
    return dict(sender.answer(parsed, [True] * len(parsed.events)))


def code_event(email: str) -> dict[str, Any]:
    return {**documented("hubspot-customcode-event.json"), "inputFields": {"email": email}}


def test_custom_code_is_answered_with_its_outputs() -> None:
    event = one(make(HubSpotCustomCode), sample("hubspot-customcode-event.json"))
    assert (event.event_type, event.subject, event.sender_event_id) == ("lead_created", CONTACT, "ap-123-456-7-8")
    assert outputs(code_event("dana.reyes@northwind-parts.com")) == {
        "should_enrich": True,
        "reason": "",
        "enrichment_triggered": True,
        "error": "",
    }


@pytest.mark.parametrize(
    ("email", "reason"),
    [
        ("jane@gmail.com", "personal_email"),
        ("jane@proton.me", "personal_email"),
        ("x@mailinator.com", "disposable_email"),
    ],
)
def test_custom_code_is_told_of_a_personal_address(email: str, reason: str) -> None:
    expected = {"should_enrich": False, "reason": reason, "enrichment_triggered": False, "error": ""}
    assert outputs(code_event(email)) == expected
    lenient = HubSpotCustomCode(NO_PROOF, ALL, frozenset())
    assert outputs(code_event(email), lenient)["enrichment_triggered"] is True


def test_custom_code_is_told_of_a_domain_that_is_left_alone() -> None:
    listed = HubSpotCustomCode(NO_PROOF, ALL, frozenset(), {"lead_created": ["competitor.example"]})
    assert outputs(code_event("jane@mail.competitor.example"), listed)["reason"] == "skipped_domain"
    assert outputs(code_event("jane@acme.com"), listed)["reason"] == ""


def test_custom_code_is_told_what_was_not_taken() -> None:
    found = outputs([{"object": {}}])
    assert (found["should_enrich"], found["enrichment_triggered"]) == (True, False)
    assert found["error"].startswith("bad_object_id: ")
    assert outputs([])["reason"] == "no_event"
    unknown = {**code_event("a@b.co"), "inputFields": {"event_type": "renewal_due"}}
    assert outputs(unknown)["reason"] == "unsupported_event_type"


def test_a_workflows_webhook_is_answered_with_the_same_outputs() -> None:
    sender = HubSpotWorkflow(NO_PROOF, ALL, frozenset({"lead_created"}))
    body = documented("hubspot-workflow-webhook-custombody.json")

    def told(**changes: str) -> dict[str, Any]:
        parsed = read(sender, encode({**body, **changes}))
        return dict(sender.answer(parsed, [True]))

    assert told() == {"should_enrich": True, "reason": "", "enrichment_triggered": True, "error": ""}
    assert told(email="jane@gmail.com")["reason"] == "personal_email"
    assert sender.refusal("bad_object_id", "none")["error"] == "bad_object_id: none"


# --- Salesforce Flow: other records ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "subject", "company"),
    [
        ({"opportunity_id": "0065g00000AbCdE"}, ("opportunity", "0065g00000AbCdEAAV"), ""),
        (
            {"contact_id": "0035g00000AbCdE", "account_id": "0015g00000AbCdE"},
            ("contact", "0035g00000AbCdEAAV"),
            "0015g00000AbCdEAAV",
        ),
        ({"record_id": "0065g00000AbCdE", "object_type": "Opportunity"}, ("opportunity", "0065g00000AbCdEAAV"), ""),
        ({"record_id": "00Q5g00000AbCdE"}, ("lead", "00Q5g00000AbCdEEAV"), ""),
        (
            {"contact_id": "0035g00000AbCdE", "opportunity_id": "0065g00000AbCdE"},
            ("opportunity", "0065g00000AbCdEAAV"),
            "",
        ),
    ],
)
def test_flows_of_every_object(body: dict[str, Any], subject: tuple[str, str], company: str) -> None:
    said = {"event_type": "opportunity_stage_changed", "stage": "Negotiation", "timestamp": "2026-09-21T12:53:21Z"}
    event = one(make(SalesforceFlow), {**said, **body})
    assert event.subject == RecordRef("salesforce", *subject)
    assert event.attributes.get("company_id", "") == company
    assert event.attributes["stage"] == "Negotiation"


@pytest.mark.parametrize("record", ["a015g00000AbCdE", "x", ""])
def test_a_flows_record_of_an_unknown_kind_is_kept(record: str) -> None:
    body = {"record_id": record, "event_type": "lead_created", "timestamp": "2026-09-21T12:53:21Z"}
    assert refused(make(SalesforceFlow), body) in {"bad_record_id", "bad_lead_id"}


# --- Segment ---------------------------------------------------------------------------------------------------------


def call(**changes: Any) -> dict[str, Any]:
    return {**documented("segment-track.json"), **changes}


def test_a_track_call_of_a_known_person_is_a_visit() -> None:
    event = one(make(Segment), sample("segment-track.json"))
    assert (event.event_type, event.skip_reason, event.subject) == ("website_visit", "", DANA)
    assert event.attributes == {
        "type": "track",
        "event": "Pricing Viewed",
        "visitor": "23adfd82-aa0f-45a7-a756-24f2a7a4c895",
        "email": "dana.reyes@northwind-parts.com",
        "page": "/pricing",
        "url": "https://www.example.com/pricing",
    }
    assert event.occurred_at == datetime(2026, 9, 21, 12, 53, 27, 249_000, tzinfo=UTC)
    assert event.sender_event_id == "ajs-0b5c2d4de5024d9430b3928bd8ac6c01"


@pytest.mark.parametrize(
    ("properties", "page"),
    [
        ({"path": "/pricing?plan=team#top"}, "/pricing"),
        ({"url": "https://www.example.com/pricing/eu?x=1"}, "/pricing/eu"),
        ({"url": "https://[bad"}, ""),
        ({}, ""),
    ],
)
def test_a_page_is_a_path_without_its_query(properties: dict[str, str], page: str) -> None:
    event = one(make(Segment), call(type="page", context={}, properties=properties, userId="u1"))
    assert event.attributes.get("page", "") == page


def test_an_anonymous_visit_and_one_of_another_page_are_recorded_skips() -> None:
    anonymous = one(make(Segment), call(context={"page": {"path": "/pricing"}}))
    assert (anonymous.event_type, anonymous.skip_reason) == ("website_visit", "anonymous_visitor")
    assert anonymous.subject == RecordRef("segment", "visitor", "23adfd82-aa0f-45a7-a756-24f2a7a4c895")
    assert one(make(Segment), call(context={"page": {"path": "/blog"}})).skip_reason == "page_not_configured"


def test_a_user_id_may_be_an_address_or_the_id_of_a_record() -> None:
    assert one(make(Segment), call(context={}, userId="Dana.Reyes@Northwind-Parts.com")).subject == DANA
    pages = {"context": {"page": {"path": "/pricing"}}}
    known = one(make(Segment, "hubspot.contact"), call(**pages, userId="1246978"))
    assert (known.subject, known.skip_reason, known.attributes["known_record"]) == (CONTACT, "", True)
    lead = one(make(Segment, "salesforce.lead"), call(**pages, userId="00Q5g00000AbCdE"))
    assert lead.subject == RecordRef("salesforce", "lead", "00Q5g00000AbCdEEAV")
    other = one(make(Segment, "salesforce.lead"), call(**pages, userId="u-17"))
    assert other.skip_reason == "anonymous_visitor"


def test_identify_is_recorded_and_says_who_a_user_is() -> None:
    event = one(make(Segment), call(type="identify", userId="u-17", context={}, traits={"email": "a@b.co"}))
    assert (event.event_type, event.attributes["email"], event.attributes["visitor"]) == (
        "unsupported",
        "a@b.co",
        "u-17",
    )
    assert event.attributes["anonymous"] == "23adfd82-aa0f-45a7-a756-24f2a7a4c895"


# --- Mail and telephone ----------------------------------------------------------------------------------------------


def test_sendgrids_events() -> None:
    parsed = read(make(SendGrid), sample("sendgrid-events.json") + b"\r\n")
    bounce, blocked, dropped = parsed.events
    assert (bounce.event_type, bounce.skip_reason, bounce.subject) == ("data_quality", "", DANA)
    assert (bounce.attributes["problem"], bounce.attributes["bad_field"]) == ("hard_bounce", "email")
    assert bounce.attributes["bad_value"] == "dana.reyes@northwind-parts.com"
    assert bounce.occurred_at == datetime(2026, 9, 21, 14, 13, 26, tzinfo=UTC)
    assert (blocked.event_type, blocked.skip_reason) == ("data_quality", "blocked")
    assert (dropped.skip_reason, dropped.attributes["problem"]) == ("", "hard_bounce")
    assert bounce.sender_event_id == "lC0Rc-FuQmKbnxCWxX1jRQ"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"status": "4.2.2"}, "soft_bounce"),
        ({"event": "deferred"}, "soft_bounce"),
        ({"event": "dropped", "reason": "Invalid"}, "hard_bounce"),
        ({"event": "dropped", "reason": "Unsubscribed Address"}, ""),
        ({"event": "open"}, ""),
    ],
)
def test_what_sendgrid_says_of_an_address(change: dict[str, Any], problem: str) -> None:
    event = one(make(SendGrid), {**documented("sendgrid-events.json")[0], **change})
    assert event.attributes.get("problem", "") == problem
    assert event.event_type == ("data_quality" if problem else "unsupported")
    assert event.attributes["email"] == "dana.reyes@northwind-parts.com"


def test_the_arguments_of_a_mail_may_name_the_record() -> None:
    element = {**documented("sendgrid-events.json")[0], "source_system": "hubspot", "source_id": "1246978"}
    assert one(make(SendGrid), element).subject == CONTACT


def test_an_address_that_is_none_is_a_bad_address_all_the_same() -> None:
    event = one(make(SendGrid), {**documented("sendgrid-events.json")[0], "email": "dana@@northwind"})
    assert (event.attributes["bad_value"], event.subject.record_id) == ("dana@@northwind", "dana@@northwind")


def test_an_event_without_an_id_is_known_by_what_it_says() -> None:
    element = {k: v for k, v in documented("sendgrid-events.json")[0].items() if k != "sg_event_id"}
    assert one(make(SendGrid), element).event_id == one(make(SendGrid), element).event_id
    assert one(make(SendGrid), element).event_id != one(make(SendGrid), {**element, "timestamp": 1790000009}).event_id


BOUNCE = {
    "RecordType": "Bounce",
    "ID": 4323372036854775807,
    "Type": "HardBounce",
    "TypeCode": 1,
    "MessageID": "883953f4-6105-42a2-a16a-77a8eac79483",
    "Description": "The server was unable to deliver your message (ex: unknown user, mailbox not found).",
    "Email": "Dana.Reyes@northwind-parts.com",
    "BouncedAt": "2026-09-21T09:28:10.2735393-04:00",
    "Metadata": {"source_system": "hubspot", "source_id": "1246978"},
}


def test_postmarks_bounce_with_seven_decimals_and_its_record() -> None:
    event = one(make(Postmark), BOUNCE)
    assert (event.event_type, event.skip_reason, event.subject) == ("data_quality", "", CONTACT)
    assert event.occurred_at == datetime(2026, 9, 21, 13, 28, 10, 273_539, tzinfo=UTC)
    assert event.sender_event_id == "4323372036854775807"
    assert event.attributes["bad_value"] == "Dana.Reyes@northwind-parts.com"
    assert one(make(Postmark), {**BOUNCE, "Metadata": {}}).subject == DANA


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"Type": "SoftBounce"}, ("data_quality", "soft_bounce")),
        ({"Type": "Transient"}, ("data_quality", "soft_bounce")),
        ({"Type": "SpamNotification"}, ("data_quality", "blocked")),
        ({"Type": "BadEmailAddress"}, ("data_quality", "")),
        ({"Type": "AutoResponder"}, ("unsupported", "unsupported_event_type")),
        ({"RecordType": "Open", "ReceivedAt": "2026-09-21T09:28:10Z"}, ("unsupported", "unsupported_event_type")),
    ],
)
def test_what_postmark_says_of_an_address(change: dict[str, Any], expected: tuple[str, str]) -> None:
    event = one(make(Postmark), {**BOUNCE, **change})
    assert (event.event_type, event.skip_reason) == expected


def ring(**changes: str) -> bytes:
    return urlencode({**documented("twilio-status-callback-form.json"), **changes}).encode()


def test_a_call_to_a_number_that_does_not_exist() -> None:
    event = one(make(Twilio), ring())
    assert (event.event_type, event.skip_reason) == ("data_quality", "")
    assert event.subject == RecordRef("person", "phone", "+14155550132")
    assert event.attributes["bad_value"] == "+14155550132"
    assert (event.attributes["problem"], event.attributes["detail"]) == ("disconnected", "SIP 404")
    assert event.occurred_at == datetime(2026, 9, 21, 12, 53, 26, tzinfo=UTC)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"CallStatus": "busy", "SipResponseCode": "486"}, ("data_quality", "unreachable")),
        ({"CallStatus": "no-answer", "SipResponseCode": ""}, ("data_quality", "unreachable")),
        ({"SipResponseCode": "503"}, ("data_quality", "unreachable")),
        ({"SipResponseCode": "604"}, ("data_quality", "")),
        ({"CallStatus": "completed", "SipResponseCode": "200"}, ("unsupported", "unsupported_event_type")),
        ({"Direction": "inbound"}, ("unsupported", "unsupported_event_type")),
        ({"To": "client:jane"}, ("unsupported", "unsupported_event_type")),
    ],
)
def test_what_twilio_says_of_a_number(change: dict[str, str], expected: tuple[str, str]) -> None:
    event = one(make(Twilio), ring(**change))
    assert (event.event_type, event.skip_reason) == expected


def test_callbacks_of_one_call_are_events_of_their_own() -> None:
    ids = {
        one(make(Twilio), ring(CallStatus=s, SequenceNumber=n)).event_id for s, n in [("busy", "1"), ("failed", "2")]
    }
    assert len(ids) == 2


def test_twilios_json_body() -> None:
    body = encode(documented("twilio-status-callback-form.json"))
    assert one(make(Twilio), body, query="bodySHA256=x").event_id == one(make(Twilio), ring()).event_id


@pytest.mark.parametrize("moment", ["soon", "Mon, 21 Sep 1926 12:53:26 +0000", "32 Sep 2026"])
def test_a_callback_needs_a_plausible_moment_or_none(moment: str) -> None:
    assert refused(make(Twilio), ring(Timestamp=moment)) == "bad_occurred_at"
    assert one(make(Twilio), ring(Timestamp="")).occurred_at == NOW


# --- Intent: three shapes, one event ---------------------------------------------------------------------------------

SURGE = {
    "data": [
        {
            "domain": "www.northwind-parts.com",
            "company": {"name": "Northwind Parts"},
            "score": 82,
            "scoreLabel": "High",
            "topics": [{"name": "Fasteners", "score": 61}, {"name": "Spare Parts Management", "score": 88}],
        }
    ],
    "nextPageToken": None,
}
LEAD_FORM = {
    "type": "LEAD_ACTION",
    "leadGenFormResponse": "urn:li:leadGenFormResponse:1a2b3c-4",
    "leadGenForm": "urn:li:versionedLeadGenForm:(urn:li:leadGenForm:1,1)",
    "owner": {"sponsoredAccount": "urn:li:sponsoredAccount:123"},
    "associatedEntity": {"sponsoredCreative": "urn:li:sponsoredCreative:456"},
    "leadType": "SPONSORED",
    "leadAction": "CREATED",
    "occurredAt": 1790000001000,
    "answers": {"WORK_EMAIL": "dana.reyes@northwind-parts.com", "COMPANY_NAME": "Northwind Parts"},
}


@pytest.mark.parametrize(
    ("sender", "body", "said"),
    [
        (G2, documented("g2-buyer-intent-response.json"), ("our-product", "pricing", 85.5)),
        (Bombora, SURGE, ("Spare Parts Management", "High", 82.0)),
        (LinkedIn, LEAD_FORM, ("urn:li:versionedLeadGenForm:(urn:li:leadGenForm:1,1)", "SPONSORED", 100.0)),
    ],
)
def test_three_shapes_are_one_kind_of_signal(sender: type[JsonSender], body: Any, said: tuple[str, str, float]) -> None:
    event = one(make(sender), body)
    assert (event.event_type, event.skip_reason, event.subject) == ("intent_signal", "", ACCOUNT)
    attributes = event.attributes
    assert (attributes["domain"], attributes["company"]) == ("northwind-parts.com", "Northwind Parts")
    assert (attributes["topic"], attributes["level"], attributes["score"]) == said
    strict = Triggers({"intent_signal": TriggerRules(min_score=100.5)})
    assert one(make(sender, triggers=strict), body).skip_reason == "below_threshold"


@pytest.mark.parametrize(
    ("kind", "sample_name", "score"),
    [(G2, "g2-buyer-intent-response.json", "company_intent_score"), (Bombora, "", "score")],
)
def test_a_row_whose_score_rises_over_the_threshold_is_news(
    kind: type[JsonSender], sample_name: str, score: str
) -> None:
    """G2 sums up the day so far: what was weak in the morning must not hide what is strong in the evening."""
    row = documented(sample_name)["data"][0]["attributes"] if sample_name else {"domain": "northwind-parts.com"}
    sender = make(kind, triggers=Triggers({"intent_signal": TriggerRules(min_score=60)}))
    weak, weaker, strong, stronger = (one(sender, {**row, score: number}) for number in (30, 20, 70, 90))
    assert weak.event_id == weaker.event_id != strong.event_id == stronger.event_id
    assert (weak.skip_reason, strong.skip_reason) == ("below_threshold", "")


def test_a_g2_row_is_known_by_company_product_signal_and_day() -> None:
    page = documented("g2-buyer-intent-response.json")
    row = page["data"][0]
    first = one(make(G2), page)
    assert first.occurred_at == datetime(2026, 9, 20, 23, 59, 59, tzinfo=UTC)
    assert one(make(G2), row["attributes"]).event_id == first.event_id
    more = {**row, "id": "other", "attributes": {**row["attributes"], "total_activity": 9}}
    assert one(make(G2), {"data": [more]}).event_id == first.event_id
    assert one(make(G2), {**row["attributes"], "day": "2026-09-21"}).event_id != first.event_id
    assert one(make(G2), {**row["attributes"], "day": "2026-09-21"}).occurred_at == NOW, "today is not over"


def test_a_surge_is_one_event_a_week() -> None:
    sender, first = make(Bombora), one(make(Bombora), SURGE)
    assert one(sender, SURGE["data"][0], now=NOW + timedelta(days=6)).event_id == first.event_id
    assert one(sender, SURGE["data"][0], now=NOW + timedelta(days=7)).event_id != first.event_id
    alone = {"domain": "northwind-parts.com", "topics": [{"name": "Fasteners", "score": 71}]}
    assert one(sender, alone).attributes["score"] == 71.0


@pytest.mark.parametrize("domain", ["", "com", None, "localhost"])
def test_a_signal_without_a_company_is_kept(domain: Any) -> None:
    parsed = read(make(Bombora), encode({"data": [{"domain": domain, "score": 90}]}))
    assert [reject.reason for reject in parsed.rejects] == ["bad_domain"]


@pytest.mark.parametrize("answers", [None, {}, {"EMAIL": "dana@gmail.com"}])
def test_a_lead_form_without_a_company_is_recorded_only(answers: Any) -> None:
    event = one(make(LinkedIn), {**LEAD_FORM, "answers": answers})
    assert (event.event_type, event.skip_reason) == ("intent_signal", "no_company")
    assert event.subject == RecordRef("linkedin", "lead", "urn:li:leadGenFormResponse:1a2b3c-4")


def test_a_deleted_lead_is_recorded_only() -> None:
    assert one(make(LinkedIn), {**LEAD_FORM, "leadAction": "DELETED"}).event_type == "unsupported"


def test_linkedins_challenge_is_answered() -> None:
    sender = LinkedIn(LinkedInSignature((b"secret",)), ALL)
    greeting = sender.greet(RawRequest("GET", {}, b"", "challengeCode=890e4665-4dfe&applicationId=1"))
    assert greeting.content["challengeCode"] == "890e4665-4dfe"
    assert len(greeting.content["challengeResponse"]) == 64
    with pytest.raises(PayloadError):
        sender.greet(RawRequest("GET", {}, b"", "challengeCode="))


# --- Generic senders -------------------------------------------------------------------------------------------------

CLOUD_EVENT = documented("cloudevents-lead-created.json")
TYPES = {"com.example.crm.lead.created.v1": "lead_created"}
STRUCTURED = {"content-type": "application/cloudevents+json; charset=utf-8"}
LEAD = RecordRef("salesforce", "lead", "00Q5g00000AbCdEEAX")
DEAL = RecordRef("salesforce", "opportunity", "0065g00000AbCdEAAV")


def cloud() -> JsonSender:
    return CloudEvents(NO_PROOF, ALL, TYPES)


def test_a_structured_cloud_event() -> None:
    event = one(cloud(), CLOUD_EVENT, STRUCTURED)
    assert (event.event_type, event.subject, event.sender_event_id) == ("lead_created", LEAD, "evt-01J8ZK5V9M3A")
    assert event.occurred_at == datetime(2026, 9, 21, 12, 53, 21, tzinfo=UTC)
    assert event.attributes == {"email": "dana.reyes@northwind-parts.com", "company": "Northwind Parts"}


def test_the_three_modes_are_one_event() -> None:
    names = ("specversion", "id", "source", "type", "time")
    binary = {"content-type": "application/json", **{f"ce-{name}": CLOUD_EVENT[name] for name in names}}
    binary["ce-source"] = "%2Fcrm%2Fsalesforce%2F00D5g0000000001EAA"
    encoded = {k: v for k, v in CLOUD_EVENT.items() if k != "data"}
    encoded["data_base64"] = base64.b64encode(encode(CLOUD_EVENT["data"])).decode()
    batch = read(cloud(), encode([CLOUD_EVENT, encoded]), {"content-type": "application/cloudevents-batch+json"})
    ids = {event.event_id for event in batch.events}
    ids |= {one(cloud(), CLOUD_EVENT, STRUCTURED).event_id, one(cloud(), CLOUD_EVENT["data"], binary).event_id}
    assert len(ids) == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"specversion": "0.3"}, "incomplete_event"),
        ({"source": ""}, "incomplete_event"),
        ({"time": "2026-09-21"}, "bad_occurred_at"),
        ({"data": [1]}, "bad_data"),
        ({"data": None, "data_base64": "!"}, "bad_data"),
        ({"data": {"company": "Acme"}}, "no_subject"),
        ({"data": {"record_id": "17-4"}}, "bad_record_id"),
        ({"data": {"record_id": "00Q5g00000AbCdE", "object_type": "Contact"}}, "bad_record_id"),
        ({"data": {"source_system": "hubspot", "source_id": "00Q5g00000AbCdE"}}, "bad_record_id"),
    ],
)
def test_a_cloud_event_that_says_too_little_is_kept(change: dict[str, Any], reason: str) -> None:
    assert refused(cloud(), {**CLOUD_EVENT, **change}, STRUCTURED) == reason


def test_a_cloud_event_of_another_type_needs_no_subject() -> None:
    event = one(cloud(), {**CLOUD_EVENT, "type": "com.example.order.paid", "data": {"order": 7}}, STRUCTURED)
    assert (event.event_type, event.attributes["event_type"]) == ("unsupported", "com.example.order.paid")
    assert event.subject == RecordRef("cloudevents", "event", "evt-01J8ZK5V9M3A")


@pytest.mark.parametrize(
    ("data", "subject"),
    [
        ({"source_system": "hubspot", "source_id": 1246978}, CONTACT),
        ({"record_id": "1246978", "object_type": "company"}, RecordRef("hubspot", "company", "1246978")),
        ({"system": "salesforce", "record_id": "0065g00000AbCdE"}, DEAL),
        ({"email": "Dana.Reyes@northwind-parts.com"}, DANA),
        ({"phone": "+1 (415) 555-0132"}, RecordRef("person", "phone", "+14155550132")),
        ({"company_domain": "https://www.northwind-parts.com/x"}, ACCOUNT),
    ],
)  # fmt: skip
def test_whom_the_data_name(data: dict[str, Any], subject: RecordRef) -> None:
    assert one(cloud(), {**CLOUD_EVENT, "data": data}, STRUCTURED).subject == subject


def test_the_data_speak_our_own_words() -> None:
    data = {"domain": "northwind-parts.com", "topic": "Fasteners", "score": "77.5", "level": "High"}
    event = one(cloud(), {**CLOUD_EVENT, "type": "intent_signal", "data": data}, STRUCTURED)
    assert (event.event_type, event.attributes["score"], event.skip_reason) == ("intent_signal", 77.5, "")
    bad = {"email": "a@b.co", "problem": "disconnected", "bad_field": "phone", "bad_value": "+1 415 555 0132"}
    event = one(cloud(), {**CLOUD_EVENT, "type": "data_quality", "data": bad}, STRUCTURED)
    assert event.attributes["bad_value"] == "+14155550132"


def test_an_origin_may_ask_whether_it_may_post() -> None:
    sender = CloudEvents(NO_PROOF, ALL, {})
    greeting = sender.greet(RawRequest("OPTIONS", {"webhook-request-origin": "eventgrid.azure.net"}, b""))
    assert greeting.headers["WebHook-Allowed-Origin"] == "eventgrid.azure.net"
    with pytest.raises(PayloadError):
        sender.greet(RawRequest("OPTIONS", {}, b""))


def test_standard_webhooks_are_known_by_the_messages_id() -> None:
    sender = StandardWebhooks(NO_PROOF, ALL, {"contact.created": "lead_created"})
    body = {"type": "contact.created", "timestamp": "2026-09-21T12:53:21Z", "data": {"source_id": "1246978"}}
    event = one(sender, body, {"webhook-id": "msg_1"})
    assert (event.event_type, event.subject, event.sender_event_id) == ("lead_created", CONTACT, "msg_1")
    assert one(sender, {**body, "data": {"source_id": "7"}}, {"webhook-id": "msg_1"}).event_id == event.event_id
    assert one(sender, body, {"webhook-id": "msg_2"}).event_id != event.event_id


def test_a_row_of_clays() -> None:
    row = documented("clay-webhook-row.json")
    event = one(make(Clay), row)
    assert (event.event_type, event.subject) == ("lead_created", LEAD)
    assert event.attributes["domain"] == "northwind-parts.com"
    assert one(make(Clay), row, now=NOW + timedelta(days=400)).event_id == event.event_id
    assert refused(make(Clay), {**row, "source_system": "pipedrive"}) == "bad_record_id"


def test_a_lead_that_a_tool_imported_says_so() -> None:
    parsed: Parsed = read(make(Clay), encode({**documented("clay-webhook-row.json"), "lead_source": "import"}))
    from enrichment_dagster.intake.imports import urgent

    assert urgent(parsed.events) == [False]
