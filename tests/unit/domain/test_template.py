"""Texts with placeholders."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enrichment_dagster.domain.template import PLACEHOLDERS, TemplateError, filled, placeholders

VALUES = {name: f"<{name}>" for name in PLACEHOLDERS}


@pytest.mark.parametrize(
    ("template", "text", "names"),
    [
        ("", "", set()),
        ("plain", "plain", set()),
        ("/{domain}/x/{email}", "/<domain>/x/<email>", {"domain", "email"}),
        ("{domain}{domain}", "<domain><domain>", {"domain"}),
        ("{{domain}} {{{domain}}}", "{domain} {<domain>}", {"domain"}),
    ],
)
def test_a_placeholder_is_replaced_and_a_doubled_brace_is_a_brace(template, text, names):
    assert filled(template, VALUES) == text
    assert placeholders(template) == names


def test_texts_are_filled_at_any_depth_and_nothing_else_changes():
    source = {"a": ["{email}", 1, None, {"b": "{domain}"}], "{domain}": 2.5}
    assert filled(source, VALUES, str.upper) == {"a": ["<EMAIL>", 1, None, {"b": "<DOMAIN>"}], "{domain}": 2.5}
    assert placeholders(source) == {"email", "domain"}
    assert source["a"][0] == "{email}"


@given(st.dictionaries(st.sampled_from(PLACEHOLDERS), st.text(), min_size=len(PLACEHOLDERS)))
def test_a_value_is_never_read_as_a_template(values):
    assert filled("{company_name}|{domain}", values) == f"{values['company_name']}|{values['domain']}"


@given(st.text(alphabet="{}aeilm.![]:d0", max_size=12))
def test_any_text_is_a_template_or_refused_with_a_reason(text):
    try:
        names = placeholders(text)
    except TemplateError as error:
        assert "brace" in str(error)  # noqa: PT017 - both ends are legal
    else:
        assert names <= set(PLACEHOLDERS)
        assert isinstance(filled(text, VALUES), str)
