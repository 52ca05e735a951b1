"""HubSpot's bodies as events: spellings, exact ids, dedup keys, bad elements."""

import json
from datetime import UTC, datetime

import pytest
from support.intake import ALL, LEADS, NOW, contact_creation, encode, hubspot_sender, read, sample

from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.domain.triggers import TriggerRules, Triggers
from enrichment_dagster.errors import PayloadError


def parse(*elements):
    return read(hubspot_sender(), encode(elements))


def one(element, triggers=LEADS):
    parsed = read(hubspot_sender(triggers=triggers), encode([element]))
    assert not parsed.rejects
    return parsed.events[0]


def reject_reason(element):
    parsed = parse(element, contact_creation(7))
    assert [event.subject.record_id for event in parsed.events] == ["7"], "the good one goes on"
    (reject,) = parsed.rejects
    assert json.loads(reject.body) == element
    assert (reject.source, reject.received_at) == ("hubspot", NOW)
    assert reject.detail.startswith("element 0: ")
    return reject.reason


def test_a_created_contact_is_a_created_lead():
    (event,) = read(hubspot_sender(), sample("hubspot-webhook-contact-creation.json")).events
    assert event.event_type == "lead_created"
    assert event.source == "hubspot"
    assert event.subject == RecordRef("hubspot", "contact", "1246978")
    assert event.occurred_at == datetime(2026, 9, 21, 14, 13, 21, tzinfo=UTC)
    assert event.received_at == NOW
    assert event.sender_event_id == "3816279480"
    assert event.skip_reason == ""
    assert event.attributes == {
        "portalId": "62515",
        "subscriptionType": "contact.creation",
        "changeSource": "IMPORT",
        "changeFlag": "NEW",
        "sourceId": "userId:864745280",
    }
    assert event.event_id == f"evt_{event.dedup_key[:24]}"


def test_the_documented_and_the_sent_spelling_are_one_event():
    sent = contact_creation()
    documented = {"eventType": sent["subscriptionType"], **{k: v for k, v in sent.items() if k != "subscriptionType"}}
    generic = contact_creation(subscriptionType="object.creation", objectTypeId="0-1")
    assert one(sent).dedup_key == one(documented).dedup_key == one(generic).dedup_key
    assert one(generic).event_type == "lead_created"


def test_other_subscriptions_are_recorded_and_skipped():
    """With the value that changed: our own writes are known by it."""
    (event,) = read(hubspot_sender(triggers=ALL), sample("hubspot-webhook-contact-propertychange.json")).events
    assert (event.event_type, event.skip_reason) == ("unsupported", "unsupported_event_type")
    assert event.attributes["propertyName"] == "email"
    assert event.attributes["propertyValue"] == "dana.reyes@northwind-parts.com"


def test_a_deal_that_reaches_a_configured_stage_triggers():
    body = sample("hubspot-webhook-deal-propertychange.json")
    (event,) = read(hubspot_sender(triggers=ALL), body).events
    assert (event.event_type, event.skip_reason) == ("opportunity_stage_changed", "")
    assert event.subject == RecordRef("hubspot", "deal", "332507367156")
    assert event.attributes["stage"] == "contractsent"
    rules = Triggers({"opportunity_stage_changed": TriggerRules(stages=("closedwon",))})
    assert read(hubspot_sender(triggers=rules), body).events[0].skip_reason == "stage_not_configured"
    generic = {**json.loads(body)[0], "subscriptionType": "object.propertyChange", "objectTypeId": "0-3"}
    assert one(generic, ALL).event_type == "opportunity_stage_changed"
    assert one({**json.loads(body)[0], "propertyName": "amount"}, ALL).event_type == "unsupported"


def test_both_sides_of_an_association_are_one_event():
    body = sample("hubspot-webhook-contact-associationchange.json")
    first, second = read(hubspot_sender(triggers=ALL), body).events
    assert first.dedup_key == second.dedup_key
    assert {first.event_type, second.event_type} == {"contact_associated"}
    assert first.subject == second.subject == RecordRef("hubspot", "contact", "1246965")
    for event in (first, second):
        assert (event.attributes["company_id"], event.attributes["association"]) == ("7654321", "CONTACT_TO_COMPANY")


def association(**changes):
    return {**json.loads(sample("hubspot-webhook-contact-associationchange.json"))[0], **changes}


def test_the_unlabelled_association_beside_a_primary_one_is_the_same_event():
    other = association(isPrimaryAssociation=False, occurredAt=1790000003400, eventId=9)
    assert one(association(), ALL).dedup_key == one(other, ALL).dedup_key


@pytest.mark.parametrize(
    "change", [{"toObjectId": 7}, {"fromObjectId": 7}, {"occurredAt": 1790000023000}, {"portalId": 1}]
)
def test_another_pair_or_another_time_is_another_event(change):
    assert one(association(), ALL).dedup_key != one(association(**change), ALL).dedup_key


def test_a_removed_association_is_recorded_and_skipped():
    event = one(association(associationRemoved=True), ALL)
    assert (event.event_type, event.skip_reason) == ("contact_associated", "association_removed")
    assert event.dedup_key != one(association(), ALL).dedup_key


def test_the_generic_form_names_the_sides_by_type_ids():
    sides = {"fromObjectTypeId": "0-2", "toObjectTypeId": "0-1", "fromObjectId": 7654321, "toObjectId": 1246965}
    generic = {k: v for k, v in association().items() if k != "associationType"}
    event = one({**generic, **sides, "subscriptionType": "object.associationChange"}, ALL)
    assert event.dedup_key == one(association(), ALL).dedup_key


def test_associations_between_other_records_are_recorded_and_skipped():
    event = one(association(associationType="CONTACT_TO_DEAL"), ALL)
    assert (event.event_type, event.subject.record_id) == ("unsupported", "1246965")


def test_an_association_without_ids_is_kept():
    assert reject_reason(association(toObjectId=None)) == "bad_object_id"


def test_a_merge_names_the_records_that_are_gone():
    merge = contact_creation(
        None,
        subscriptionType="contact.merge",
        primaryObjectId=11,
        mergedObjectIds=[12, 2**60, "x", None],
        newObjectId=14,
        numberOfPropertiesMoved=3,
    )
    event = one(merge, ALL)
    assert (event.event_type, event.subject.record_id) == ("unsupported", "14")
    assert event.attributes["mergedObjectIds"] == ["12", str(2**60)]
    assert event.attributes["primaryObjectId"] == "11"
    assert one({**merge, "newObjectId": None}, ALL).subject.record_id == "11"


def test_a_privacy_deletion_is_recorded_for_the_erasure():
    event = one(contact_creation(subscriptionType="contact.privacyDeletion"), ALL)
    assert (event.event_type, event.skip_reason) == ("unsupported", "privacy_deletion")
    assert event.subject == RecordRef("hubspot", "contact", "1246978")


def test_an_object_of_another_type_is_not_a_lead():
    event = one(contact_creation(subscriptionType="object.creation", objectTypeId="0-3"))
    assert (event.event_type, event.subject.object_type) == ("unsupported", "deal")
    custom = one(contact_creation(subscriptionType="object.creation", objectTypeId="2-3444025"))
    assert custom.subject.object_type == "2-3444025"
    assert one(contact_creation(subscriptionType="object.creation")).event_type == "unsupported"


def test_a_type_without_a_trigger_is_recorded_and_skipped():
    event = read(hubspot_sender(triggers=Triggers({})), encode([contact_creation()])).events[0]
    assert event.skip_reason == "unsupported_event_type"


@pytest.mark.parametrize("number", [1, 332507367156, 2**53 + 1, 2**63 - 1, 2**63, 2**64 + 1, 10**39])
@pytest.mark.parametrize("form", [int, str])
def test_ids_are_exact_whatever_their_size(number, form):
    assert one(contact_creation(form(number))).subject.record_id == str(number)


@pytest.mark.parametrize(
    "object_id",
    [None, True, False, 1.0, 1e300, 0, -5, "", " ", "007", "1.0", "abc", "\u0661", [], {}, [1], "9" * 41, 10**40],
)
def test_an_element_without_a_record_id_is_kept(object_id):
    assert reject_reason(contact_creation(object_id)) == "bad_object_id"


def test_an_id_of_a_million_digits_is_kept_as_text():
    body = encode([contact_creation(7), contact_creation(8)]).replace(
        b'"objectId": 7', b'"objectId": ' + b"7" * 900_000
    )
    parsed = read(hubspot_sender(), body)
    assert [e.subject.record_id for e in parsed.events] == ["8"]
    assert parsed.rejects[0].reason == "bad_object_id"


@pytest.mark.parametrize(
    "moment",
    [None, True, 1790000001000.0, 0, -1, 946684799999, 4102444800000, 1790000001, 10**14, 10**50, "soon", "", [], {}],
)
def test_an_implausible_moment_is_kept(moment):
    assert reject_reason(contact_creation(occurredAt=moment)) == "bad_occurred_at"


@pytest.mark.parametrize("moment", [946684800000, "1790000001000"])
def test_plausible_moments_are_taken(moment):
    assert one(contact_creation(occurredAt=moment)).occurred_at.timestamp() * 1_000 == int(moment)


@pytest.mark.parametrize("moment", [4102444799999, int(NOW.timestamp() * 1_000) + 1])
def test_nothing_occurs_after_its_receipt(moment):
    """Or each later event of the record would look like an old one, and the latency like none."""
    event = one(contact_creation(occurredAt=moment))
    assert event.occurred_at == event.received_at == NOW
    assert event.event_id != one(contact_creation()).event_id  # two deliveries share the sender's moment, not ours


@pytest.mark.parametrize("element", [None, 1, "x", [], [contact_creation()], True])
def test_an_element_that_is_no_object_is_kept(element):
    assert reject_reason(element) == "not_an_object"


@pytest.mark.parametrize("kind", [None, "", " ", 5, ["contact.creation"]])
def test_an_element_without_a_type_is_kept(kind):
    assert reject_reason(contact_creation(subscriptionType=kind)) == "missing_type"


@pytest.mark.parametrize("body", [b"null", b"1", b'"x"'])
def test_a_body_that_is_no_array_is_unreadable(body):
    with pytest.raises(PayloadError) as caught:
        read(hubspot_sender(), body)
    assert caught.value.reason == "not_an_object"


def test_a_single_event_is_read_as_one():
    assert len(read(hubspot_sender(), encode(contact_creation())).events) == 1


@pytest.mark.parametrize("count", [0, 1, 100, 101, 5_000])
def test_batches_of_any_sensible_size_are_read(count):
    parsed = parse(*(contact_creation(n + 1, eventId=n + 1) for n in range(count)))
    assert len(parsed.events) == count
    assert len({e.event_id for e in parsed.events}) == count


def test_half_a_million_numbers_are_kept_as_one_body():
    with pytest.raises(PayloadError) as caught:
        read(hubspot_sender(), b"[" + b"0," * 499_999 + b"0]")
    assert caught.value.reason == "too_many_events"


def test_a_redelivery_is_the_same_event():
    """HubSpot raises attemptNumber; nothing promises that the order of keys stays."""
    again = dict(reversed(contact_creation(attemptNumber=4).items()))
    assert one(contact_creation()).event_id == one(again).event_id


@pytest.mark.parametrize(
    "change",
    [
        {"portalId": 62516},
        {"objectId": 1246979},
        {"occurredAt": 1790000001001},
        {"eventId": 3816279481},
        {"subscriptionType": "contact.restore"},
        {"propertyName": "email"},
        {"toObjectId": 5},
    ],
)
def test_whatever_tells_two_events_apart_is_in_the_dedup_key(change):
    assert one(contact_creation()).event_id != one({**contact_creation(), **change}).event_id


def test_texts_that_no_database_takes_are_cleaned():
    """NUL and half surrogates: Postgres refuses the first, UTF-8 the second."""
    event = one(
        contact_creation(subscriptionType="deal.\x00cre\ud800ation", propertyName="\udfff", changeSource="\x00")
    )
    assert event.attributes["subscriptionType"] == "deal.creation"
    assert "changeSource" not in event.attributes


def test_the_value_of_a_property_keeps_its_line_breaks_and_ends_somewhere():
    event = one(contact_creation(subscriptionType="contact.propertyChange", propertyValue=" a\n\x00b " + "c" * 9_000))
    assert event.attributes["propertyValue"] == (" a\nb " + "c" * 9_000)[:5_000]


def test_long_texts_fit_the_columns_of_the_journal():
    event = one(contact_creation(subscriptionType="x" * 100_000, changeSource="y" * 100_000))
    assert len(event.subject.object_type) == 40
    assert len(event.attributes["changeSource"]) == 40
    assert len(event.attributes["subscriptionType"]) <= 200
