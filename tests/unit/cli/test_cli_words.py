from __future__ import annotations

from datetime import UTC, datetime

import pytest

from enrichment_dagster.cli.words import counted, dollars, iso, mask_subject, money_text, seconds_text, usd


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 ms"), (0.25, "250 ms"), (5.84, "5.8 s"), (60, "1 min 0 s"), (3_725, "1 h 2 min"), (90_000, "1 d 1 h")],
)
def test_durations_have_the_unit_that_suits_them(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text


@pytest.mark.parametrize(
    ("key", "masked"),
    [
        ("email:jane.doe@acme.com", "email:j***@acme.com"),
        ("email:j@acme.com", "email:***@acme.com"),
        ("email:odd", "email:***"),
        ("person:jane.doe@acme.com", "person:j***@acme.com"),
        ("domain:acme.com", "domain:acme.com"),
    ],
)
def test_a_subject_is_shown_without_the_persons_name(key: str, masked: str) -> None:
    assert mask_subject(key) == masked


def test_moments_are_utc_to_the_millisecond() -> None:
    assert iso(datetime(2026, 9, 21, 12, 0, 0, 5_000, tzinfo=UTC)) == "2026-09-21T12:00:00.005Z"
    assert iso(None) is None


def test_money_shows_a_tenth_of_a_cent() -> None:
    assert (usd(48_000), money_text(8_000), money_text(0)) == (0.048, "$0.008", "-")


def test_one_try_two_tries() -> None:
    assert [counted(n, "try", "tries") for n in (1, 2)] == ["1 try", "2 tries"]
    assert counted(2, "start") == "2 starts"


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0.0, "$0.00"),
        (0.3, "$0.30"),
        (0.008, "$0.008"),
        (0.000004, "$0.000004"),
        (500.0, "$500.00"),
        (1234.5, "$1,234.50"),
    ],
)
def test_dollars_have_cents_and_more_digits_only_where_there_are_any(amount: float, text: str) -> None:
    assert dollars(amount) == text
