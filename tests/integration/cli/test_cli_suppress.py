"""``enrichment suppress``: who is left alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.story import Installation, call, environment


def suppress(installation: Installation, *words: str) -> dict[str, object]:
    result = call(environment(installation.home), "suppress", *words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_people_companies_and_records_are_listed_under_the_keys_that_they_are_known_by(
    installation: Installation,
) -> None:
    words = ("Jane.Doe+x@Acme.com", "https://www.shop.acme.co.uk/", "hubspot:contact:1246978")
    suppress(installation, *words, "--reason", "asked for it")
    listed = suppress(installation)["newest"]
    assert {item["subject"] for item in listed} == {  # type: ignore[attr-defined]
        "email:jane.doe@acme.com",
        "domain:acme.co.uk",
        "hubspot:contact:1246978",
    }
    assert {item["reason"] for item in listed} == {"asked for it"}  # type: ignore[attr-defined]


def test_the_same_words_take_them_off_again(installation: Installation) -> None:
    suppress(installation, "jane@acme.com")
    assert suppress(installation, "--remove", "JANE@acme.com", "nobody@acme.com")["message"] == "1 entry removed"
    assert suppress(installation)["newest"] == []
    table = call(environment(installation.home), "suppress")
    assert table.exit_code == 0


@pytest.mark.parametrize("words", [("--remove",), ("--reason", "x"), ("--remove", "a@acme.com", "--reason", "x")])
def test_options_that_do_not_go_together(installation: Installation, words: tuple[str, ...]) -> None:
    assert call(environment(installation.home), "suppress", *words).exit_code == 2


def test_what_is_no_subject_is_named(installation: Installation) -> None:
    result = call(environment(installation.home), "suppress", "jane")
    assert result.exit_code == 2
    assert "jane is no address, domain or record" in result.stderr


def test_without_a_store_there_is_no_list(tmp_path: Path) -> None:
    assert call(environment(tmp_path), "suppress").exit_code == 1
