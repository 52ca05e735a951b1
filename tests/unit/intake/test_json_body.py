"""The strict JSON reader: one stable reason for each way in which a body can't be read."""

import json

import pytest

from enrichment_dagster.errors import PayloadError
from enrichment_dagster.intake.json_body import MAX_DEPTH, parse_json


def nested(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty_body"),
        (b" \r\n\t ", "empty_body"),
        (b"\xff\xfe{}", "invalid_utf8"),
        (b'"\xed\xa0\x80"', "invalid_utf8"),  # a surrogate in UTF-8
        (b'{"a": "caf\xe9"}', "invalid_utf8"),
        (b"\xef\xbb\xbf[]", "byte_order_mark"),
        ("[]".encode("utf-16"), "invalid_utf8"),
        (b"{", "not_json"),
        (b"[] []", "not_json"),
        (b"{'a': 1}", "not_json"),
        (b"[1,]", "not_json"),
        (b"\x00", "not_json"),
        (b'"\x00"', "not_json"),
        (b"lead_id=1&email=x", "not_json"),
        (b'{"a": 1, "a": 2}', "duplicate_key"),
        (b'[{"b": {"a": 1, "a": 1}}]', "duplicate_key"),
        (b"[NaN]", "not_a_number"),
        (b"[Infinity]", "not_a_number"),
        (b"[-Infinity]", "not_a_number"),
        (nested(MAX_DEPTH + 1), "too_deep"),
        (nested(100_000), "too_deep"),
        (b"[" * 100_000, "too_deep"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "too_deep"),
    ],
)
def test_an_unreadable_body_has_a_stable_reason(body, reason):
    with pytest.raises(PayloadError) as caught:
        parse_json(body)
    assert caught.value.reason == reason
    assert caught.value.status == 400


def test_the_deepest_allowed_body_is_read():
    assert parse_json(nested(MAX_DEPTH)) == json.loads(nested(MAX_DEPTH))
    assert parse_json(b'{"a":' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH) is not None


@pytest.mark.parametrize("number", [2**53 + 1, 2**63 - 1, 2**64, 10**99])
def test_integers_stay_exact_beyond_64_bits(number):
    """Parsers that know only 64 bits turn such a number into a float without a word."""
    assert parse_json(str(number).encode()) == number


def test_a_number_of_a_million_digits_costs_no_time_and_stays_text():
    """int() takes quadratic time for it, and refuses more than 4,300 digits."""
    digits = "9" * 1_000_000
    assert parse_json(digits.encode()) == digits


def test_a_number_too_large_for_a_float_stays_text():
    assert parse_json(b"[1e999, -1e999, 1.5]") == ["1e999", "-1e999", 1.5]


def test_half_a_surrogate_pair_does_not_crash_the_reader():
    assert parse_json(b'"\\ud800"') == "\ud800"
