"""Which events our own writes have caused, and which a person has."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.builders import an_event
from support.clock import START

from enrichment_dagster.crm.values import for_hubspot, for_salesforce
from enrichment_dagster.domain.echoes import (
    CAUSALITY_DEPTH,
    CAUSED_WITHIN,
    CLOCK_SKEW,
    COMPARED_CHARACTERS,
    OWN_WRITE,
    Echo,
    OwnMarks,
    OwnWrite,
    canonical,
    fingerprints,
    judge,
    may_be_echo,
)
from enrichment_dagster.domain.event import Event, RecordRef

CONTACT = RecordRef("hubspot", "contact", "1")
LEAD = RecordRef("salesforce", "lead", "00Q5g00000AbCdEEAX")
MARKS = OwnMarks("54321", "enrichment-dagster")
WROTE = {"jobtitle": "CTO", "numberofemployees": 640, "enriched_at": "2026-09-21T12:00:00Z", "tech": "Python;DuckDB"}
AFTER = timedelta(seconds=2)


def a_write(ref: RecordRef = CONTACT, *, depth: int = 0, **changes: Any) -> OwnWrite:
    given: dict[str, Any] = {"event_id": "evt_cause", "depth": depth, "first_at": START, "last_at": START}
    return OwnWrite(**{**given, "fingerprints": fingerprints(ref, WROTE), **changes})


def hubspot(name: str = "jobtitle", value: Any = "CTO", *, after: timedelta = AFTER, **said: Any) -> Event:
    """A change of a contact's property."""
    attributes = {"subscriptionType": "contact.propertyChange", "propertyName": name, "propertyValue": value, **said}
    return an_event(1, occurred_at=START + after, attributes=attributes)


def salesforce(changed: dict[str, Any], *, after: timedelta = AFTER, **said: Any) -> Event:
    """A change of a lead, as its feed tells it."""
    attributes = {"changeType": "UPDATE", "changed": changed, **said}
    return an_event(1, source="salesforce_cdc", subject=LEAD, occurred_at=START + after, attributes=attributes)


def reason(event: Event, *writes: OwnWrite, marks: OwnMarks = MARKS) -> str | None:
    found = judge(event, writes, marks)
    return None if found is None else found.reason


class TestOrigin:
    def test_what_our_hubspot_app_changed_is_ours_whatever_it_was(self):
        event = hubspot("anything", "else", changeSource="INTEGRATION", sourceId="54321")
        assert judge(event, [], MARKS) == Echo(OWN_WRITE, "", 1)
        assert judge(event, [a_write()], MARKS) == Echo(OWN_WRITE, "evt_cause", 1)

    @pytest.mark.parametrize(
        "said", [{"changeSource": "INTEGRATION", "sourceId": "999"}, {"changeSource": "API", "sourceId": "54321"}, {}]
    )
    def test_what_another_app_changed_is_not(self, said):
        assert reason(hubspot("anything", "else", **said)) is None

    def test_without_an_app_id_no_app_is_taken_for_ours(self):
        event = hubspot("anything", "else", changeSource="INTEGRATION", sourceId="")
        assert reason(event, marks=OwnMarks()) is None

    @pytest.mark.parametrize(
        ("origin", "ours"),
        [
            ("com/salesforce/api/rest/62.0;client=enrichment-dagster", True),
            ("com/salesforce/api/rest/62.0;client=enrichment-dagster-2", False),
            ("com/salesforce/api/rest/62.0;client=DataLoader", False),
            ("com/salesforce/api/soap/62.0", False),
            ("", False),
            (None, False),
        ],
    )
    def test_salesforce_names_the_client_of_a_change(self, origin, ours):
        assert reason(salesforce({"Rating": "Hot"}, changeOrigin=origin)) == (OWN_WRITE if ours else None)


class TestValue:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("jobtitle", "CTO"),
            ("jobtitle", "CTO "),
            ("numberofemployees", "640"),
            ("numberofemployees", "640.0"),
            ("enriched_at", "1789992000000"),
            ("enriched_at", "2026-09-21T12:00:00.000+0000"),
            ("enriched_at", "2026-09-21T14:00:00+02:00"),
            ("tech", "DuckDB;Python"),
            ("jobtitle", "REDACTED"),
        ],
    )
    def test_a_value_that_we_wrote_comes_back_as_the_crm_keeps_it(self, name, value):
        assert judge(hubspot(name, value), [a_write()], OwnMarks()) == Echo(OWN_WRITE, "evt_cause", 1)

    @pytest.mark.parametrize(
        ("name", "value"),
        [("jobtitle", "CIO"), ("jobtitle", ""), ("jobtitle", None), ("city", "CTO"), ("numberofemployees", "641")],
    )
    def test_another_value_of_the_same_property_is_no_echo(self, name, value):
        assert reason(hubspot(name, value), a_write()) == ""

    def test_a_sensitive_property_that_we_did_not_write_is_no_echo(self):
        assert reason(hubspot("ssn", "REDACTED"), a_write()) == ""

    def test_a_long_value_is_known_by_its_beginning(self):
        text = "Makes warehouses; sells ducks. " * 100
        write = a_write(fingerprints=fingerprints(CONTACT, {"summary": text}))
        assert reason(hubspot("summary", text[: COMPARED_CHARACTERS * 2]), write) == OWN_WRITE
        assert reason(hubspot("summary", f"No: {text}"), write) == ""

    def test_the_same_value_long_after_our_write_was_entered_by_somebody(self):
        assert reason(hubspot(after=CLOCK_SKEW), a_write()) == OWN_WRITE
        assert reason(hubspot(after=CLOCK_SKEW + AFTER), a_write()) == ""
        assert reason(hubspot(after=timedelta(hours=1)), a_write()) is None

    def test_a_crm_whose_clock_is_slow_is_understood(self):
        assert reason(hubspot(after=-CLOCK_SKEW), a_write()) == OWN_WRITE
        assert reason(hubspot(after=-CLOCK_SKEW - AFTER), a_write()) is None

    def test_a_person_who_types_our_value_is_a_person(self):
        assert reason(hubspot(changeSource="CRM_UI"), a_write()) is None

    @pytest.mark.parametrize(
        "changed",
        [
            {"Title": "CTO", "LastModifiedDate": "2026-09-21T12:00:02.000Z"},
            {"NumberOfEmployees": 640.0},
            {"Enriched_At__c": 1789992000000},
        ],
    )
    def test_salesforce_reports_all_fields_of_a_transaction_in_one_event(self, changed):
        """One value of ours is enough: nobody else's transaction holds it at that moment."""
        wrote = {"title": "CTO", "NumberOfEmployees": 640, "Enriched_At__c": "2026-09-21T12:00:00Z"}
        write = a_write(LEAD, fingerprints=fingerprints(LEAD, wrote))
        assert reason(salesforce(changed), write) == OWN_WRITE

    def test_a_contact_that_we_linked_to_a_company_was_not_linked_by_somebody(self):
        said = {"subscriptionType": "contact.associationChange", "association": "CONTACT_TO_COMPANY", "company_id": "9"}
        event = an_event(1, event_type="contact_associated", occurred_at=START + AFTER, attributes=said)
        assert reason(event, a_write(fingerprints=fingerprints(CONTACT, {"@company": "9"}))) == OWN_WRITE
        assert reason(event, a_write(fingerprints=fingerprints(CONTACT, {"@company": "8"}))) == ""

    def test_a_company_that_is_looked_up_when_it_is_written_is_any_company(self):
        write = a_write(LEAD, fingerprints=fingerprints(LEAD, {"AccountId": "domain:acme.com"}))
        assert reason(salesforce({"AccountId": "001"}), write) == OWN_WRITE
        assert reason(salesforce({"Website": "acme.com"}), write) == ""

    def test_a_value_of_another_record_has_another_fingerprint(self):
        other = RecordRef("hubspot", "contact", "2")
        assert fingerprints(CONTACT, WROTE).keys() == fingerprints(other, WROTE).keys()
        assert not set(fingerprints(CONTACT, WROTE).values()) & set(fingerprints(other, WROTE).values())

    def test_the_newest_of_several_writes_is_the_cause(self):
        earlier = a_write(event_id="evt_earlier", last_at=START - AFTER)
        assert judge(hubspot(), [a_write(), earlier], MARKS) == Echo(OWN_WRITE, "evt_cause", 1)


class TestDepth:
    """A Flow that fires on every update tells nothing but the record."""

    def flow(self, *, after: timedelta = AFTER) -> Event:
        return an_event(1, source="salesforce_flow", subject=LEAD, occurred_at=START + after, attributes={})

    def test_one_step_is_allowed_and_a_second_one_in_a_row_is_refused(self):
        assert judge(self.flow(), [a_write(LEAD, depth=0)], MARKS) == Echo("", "evt_cause", 1)
        assert judge(self.flow(), [a_write(LEAD, depth=1)], MARKS) == Echo(CAUSALITY_DEPTH, "evt_cause", 2)

    def test_the_deepest_of_the_writes_that_it_may_come_from_counts(self):
        writes = [a_write(LEAD, depth=1), a_write(LEAD, depth=0, last_at=START + AFTER)]
        assert reason(self.flow(), *writes) == CAUSALITY_DEPTH

    def test_what_comes_later_has_a_cause_of_its_own(self):
        assert reason(self.flow(after=CAUSED_WITHIN), a_write(LEAD, depth=1)) == CAUSALITY_DEPTH
        assert reason(self.flow(after=CAUSED_WITHIN + AFTER), a_write(LEAD, depth=1)) is None

    @pytest.mark.parametrize("source", ["CRM_UI", "MOBILE_IOS", "FORM", "IMPORT"])
    def test_what_a_person_does_begins_anew(self, source):
        assert reason(hubspot("jobtitle", "CIO", changeSource=source), a_write(depth=1)) is None

    @pytest.mark.parametrize("source", ["AUTOMATION_PLATFORM", "INTEGRATION", ""])
    def test_what_automation_does_goes_on(self, source):
        assert reason(hubspot("jobtitle", "CIO", changeSource=source), a_write(depth=1)) == CAUSALITY_DEPTH

    @pytest.mark.parametrize("source", ["cloudevents", "standard_webhooks", "clay", "hubspot_workflow"])
    def test_a_tool_that_hears_of_the_crm_s_changes_passes_them_on(self, source):
        event = an_event(1, source=source, occurred_at=START + AFTER, attributes={})
        assert reason(event, a_write(depth=1)) == CAUSALITY_DEPTH

    @pytest.mark.parametrize("source", ["segment", "sendgrid", "api", "hubspotter"])
    def test_no_write_to_a_crm_makes_anybody_visit_a_website(self, source):
        event = an_event(1, source=source, occurred_at=START + AFTER, attributes={})
        assert reason(event, a_write(depth=1)) is None


@pytest.mark.parametrize("said", [{"subscriptionType": "contact.creation"}, {"changeType": "CREATE"}])
def test_a_new_record_needs_no_look_at_our_writes(said):
    event = an_event(1, attributes=said)
    assert not may_be_echo(event)
    assert judge(event, [a_write(depth=1)], MARKS) is None


values = st.text(max_size=30) | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)


@given(values | st.booleans() | st.none())
def test_a_value_is_the_same_in_either_crm_s_form(value):
    assert canonical(for_hubspot(value)) == canonical(value) == canonical(for_salesforce(value))


@given(
    st.lists(st.text("abc ", min_size=1, max_size=4), max_size=5).flatmap(
        lambda parts: st.tuples(st.just(parts), st.permutations(parts))
    )
)
def test_the_order_of_choices_does_not_matter(pair):
    parts, shuffled = pair
    assert canonical(";".join(parts)) == canonical(" ; ".join(shuffled))


@given(st.text() | st.lists(st.text()) | st.dictionaries(st.text(), st.text()))
def test_nothing_that_a_sender_says_does_any_harm(value):
    judge(hubspot("jobtitle", value, changeSource=value, sourceId=value), [a_write()], MARKS)
    judge(salesforce({"Title": value}, changeOrigin=value), [a_write(LEAD)], MARKS)
