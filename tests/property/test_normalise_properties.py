"""Normalising twice is normalising once, and nothing that JSON can hold does any harm."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enrichment_dagster.domain.fields import FIELDS, Kind
from enrichment_dagster.domain.normalise import InvalidValueError, normalise

BY_KIND = {kind: next(name for name, spec in FIELDS.items() if spec.kind is kind) for kind in Kind}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=8,
)
hosts = st.lists(
    st.text(string.ascii_letters + string.digits + "-äß.\uff0exn", min_size=1, max_size=8), min_size=1, max_size=3
)
urls = st.builds(
    lambda scheme, parts, tld, path: f"{scheme}{'.'.join(parts)}.{tld}{path}",
    st.sampled_from(["", "http://", "https://", "HTTPS://www.", "//", "linkedin.com/", "ftp://"]),
    hosts,
    st.sampled_from(["com", "co.uk", "de", "linkedin.com", "twitter.com", "invalid", "рф"]),
    st.text(string.printable + "äİ%", max_size=12).map(lambda text: f"/{text}"),
)
emails = st.builds(
    lambda local, host, tld: f"{local}@{'.'.join(host)}.{tld}",
    st.text(string.ascii_letters + ".+-äß' \"", min_size=1, max_size=10),
    hosts,
    st.sampled_from(["com", "de", "co.uk", "xn--p1ai"]),
)
phones = st.text(string.digits + "+()- .x;=tel", max_size=20).map(lambda text: f"+{text}")
numbers = st.text(string.digits + ".,eE+-_ ", max_size=10)
tag_lists = st.lists(st.text(max_size=5), max_size=6) | st.text("ab; \x00", max_size=12)
entries = st.lists(
    st.dictionaries(
        st.sampled_from(["name", "title", "email", "url", "shoe_size"]),
        st.none() | st.text(max_size=6) | st.sampled_from(["Ada", " Ada\t", "N/A", "\x00"]) | st.integers(),
    ),
    max_size=4,
)
LIKELY = {
    Kind.TEXT: st.text(),
    Kind.EMAIL: emails,
    Kind.PHONE: phones,
    Kind.URL: urls,
    Kind.DOMAIN: urls | emails,
    Kind.INTEGER: numbers,
    Kind.NUMBER: numbers,
    Kind.TAGS: tag_lists,
    Kind.LONG_TEXT: st.text(string.printable + "\u2028\x85\xa0", max_size=40) | st.just("x" * 5_001),
    Kind.ENTRIES: entries,
}


def once_and_twice(field, raw):
    try:
        first = normalise(field, raw)
    except InvalidValueError:
        return None, None
    return first, normalise(field, first)


@pytest.mark.parametrize("kind", list(Kind))
def test_any_json_value_is_normalised_or_refused(kind):
    @given(json_values)
    def holds(raw):
        first, second = once_and_twice(BY_KIND[kind], raw)
        assert first == second

    holds()


@pytest.mark.parametrize("kind", list(Kind))
def test_likely_values_have_one_form(kind):
    """A second look at a stored value must not find it different: it would be written to the CRM again."""

    @given(LIKELY[kind])
    def holds(raw):
        first, second = once_and_twice(BY_KIND[kind], raw)
        assert first == second

    holds()
