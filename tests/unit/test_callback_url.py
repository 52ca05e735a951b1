"""Where providers call back: under the public URL, or nowhere."""

import pytest
from support.environment import SMALL_CONFIG


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "https://enrich.example.com/callbacks/apollo/tok-1"),
        (
            {"ENRICHMENT_PUBLIC_URL": "https://gate.example.org/base/"},
            "https://gate.example.org/base/callbacks/apollo/tok-1",
        ),
    ],
)
def test_a_callback_url_stands_under_the_public_url_or_where_hubspot_calls(make_settings, environment, expected):
    assert make_settings(**environment).callback_url("apollo", "tok-1") == expected


def test_without_a_public_url_there_is_none(make_settings):
    without = SMALL_CONFIG.partition("intake:")[0] + "intake: {}\n"
    assert make_settings(without).callback_url("apollo", "tok-1") == ""
    assert make_settings(without, ENRICHMENT_PUBLIC_URL="https://g.example.org").callback_url("apollo", "t") != ""
