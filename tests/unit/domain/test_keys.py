"""Keys: the same fact, subject or effect has the same key everywhere, and two different ones never share one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.domain.keys import (
    dedup_key,
    domain_subject,
    email_subject,
    event_id,
    idempotency_key,
    person_subject,
)

parts = st.lists(st.text(max_size=6), min_size=1, max_size=4)


def test_a_redelivery_has_the_same_ids_in_every_process():
    """Golden values: were they to change, every event under way at an upgrade would be taken for a new one."""
    key = dedup_key("hubspot", 62515, "3816279480")
    assert key == "fabf283be38601627897c8499d7cdcef9e95e767992ea6a01ac0d2abb4bfc826"
    assert event_id(key) == f"evt_{key[:24]}"
    assert idempotency_key("crm_write", "evt_1", "hubspot:contact:1") == "64ce5ce5dda87ec56f6175974a31ab12fdd78a6f"


@given(parts, parts)
def test_no_two_lists_of_parts_share_a_key(one, other):
    """Joining with a separator would make ("a:b", "c") and ("a", "b:c") one event."""
    assert (dedup_key("s", *one) == dedup_key("s", *other)) == (one == other)


def test_a_person_is_one_person_whatever_the_case_or_tag_of_the_address():
    assert email_subject(" Jane.Doe+Demo@ACME.com ") == email_subject("jane.doe@acme.com") == "email:jane.doe@acme.com"
    assert email_subject("jane@acme.com") != email_subject("jane@acme.org")


def test_a_person_known_by_name_is_one_person_however_the_name_is_written():
    assert person_subject(" Mary Ann", "O'Brien ", "ACME.com") == person_subject("mary-ann", "o brien", "acme.com")
    assert person_subject("Jane", "Doe", "acme.com") == "person:jane.doe@acme.com"
    assert person_subject("Zoë", "Müller", "Acme  Corp") == "person:zoë.müller@acme corp"


names = st.from_regex(r"[a-z]{1,3}([ .@'-][a-z]{1,3})?", fullmatch=True)


@given(names, names, names, names)
def test_no_two_names_share_a_key(first, last, other_first, other_last):
    """ "a.b" + "c" and "a" + "b.c" would be one person, were the names not freed of dots."""
    same = person_subject(first, last, "acme.com") == person_subject(other_first, other_last, "acme.com")
    plain = str.maketrans(".@' ", "----")
    assert same == (
        (first.translate(plain), last.translate(plain)) == (other_first.translate(plain), other_last.translate(plain))
    )


def test_company_and_record_keys_are_readable():
    assert domain_subject(" ACME.com") == "domain:acme.com"
    assert RecordRef("hubspot", "contact", "7").key == "hubspot:contact:7"
