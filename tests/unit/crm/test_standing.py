"""What a record says of itself beside its fields: how its last enrichment went, and whether its person consents."""

from __future__ import annotations

import pytest

from enrichment_dagster.crm.mapper import ConfiguredMapper
from enrichment_dagster.domain.config import CrmConfig
from enrichment_dagster.domain.eligibility import Standing
from enrichment_dagster.domain.event import RecordRef

CONTACT = RecordRef("hubspot", "contact", "1")
STATUS = {
    "status": "enrichment_status",
    "missing_fields": "missing",
    "enriched_at": "at",
    "values": {"enriched": "Done"},
}


def mapper(**consent: object) -> ConfiguredMapper:
    contact = {"mapping": {"email": "email"}, "status": STATUS, **({"consent": consent} if consent else {})}
    return ConfiguredMapper(CrmConfig.model_validate({"hubspot": {"objects": {"contact": contact}}}))


def test_what_decides_is_read_with_the_record():
    assert list(mapper().properties(CONTACT)) == ["email", "enrichment_status"]
    asked = mapper(property="opted_out", refused=[True]).properties(CONTACT)
    assert list(asked) == ["email", "enrichment_status", "opted_out"]


@pytest.mark.parametrize(
    ("said", "refuses"), [(True, True), ("TRUE", True), ("false", False), ("", False), (None, False)]
)
def test_a_person_may_refuse(said, refuses):
    """CRMs say it as a boolean or as a text; nothing said is no refusal."""
    found = mapper(property="opted_out", refused=[True]).standing(CONTACT, {"opted_out": said})
    assert found == Standing("", refuses)


def test_a_consent_that_we_may_not_see_is_no_consent():
    consent = {"property": "HasOptedOutOfEmail", "refused": [True]}
    lead = {"mapping": {"email": "Email"}, "status": STATUS, "consent": consent}
    config = {"salesforce": {"base_url": "https://crm.example", "objects": {"lead": lead}}}
    found = ConfiguredMapper(CrmConfig.model_validate(config))
    record = RecordRef("salesforce", "lead", "00Q5g00000AbCdEEAX")
    assert found.standing(record, {"Email": "a@b.example"}).refuses
    assert not found.standing(record, {"Email": "a@b.example", "HasOptedOutOfEmail": None}).refuses


def test_words_of_ones_own_for_a_no():
    found = mapper(property="consent", refused=["Withdrawn", "No"])
    assert found.standing(CONTACT, {"consent": "withdrawn"}).refuses
    assert not found.standing(CONTACT, {"consent": "Yes"}).refuses


@pytest.mark.parametrize(("stored", "status"), [("Complete", "Complete"), (None, ""), (" ", "")])
def test_the_status_is_as_the_record_has_it(stored, status):
    assert mapper().standing(CONTACT, {"enrichment_status": stored}) == Standing(status)
