"""Capital letters for vendors that send none."""

import pytest

from enrichment_dagster.providers.casing import name_case, title_case


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("vp operations", "VP Operations"),
        ("head of it and hr", "Head of IT and HR"),
        ("co-founder & ceo", "Co-Founder & CEO"),
        ("svp, sales (emea)", "SVP, Sales (Emea)"),
        ("the men's store", "The Men's Store"),
        ("o'reilly media", "O'Reilly Media"),
        ("müller gmbh", "Müller GmbH"),
        ("trinidad and tobago", "Trinidad and Tobago"),
        ("  of counsel", "  Of Counsel"),
        ("VP of Sales", "VP of Sales"),
        ("iOS developer", "iOS developer"),
        ("", ""),
        ("'", "'"),
    ],
)
def test_titles_companies_and_places(text, expected):
    assert title_case(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dana", "Dana"),
        ("anne-marie", "Anne-Marie"),
        ("o'brien", "O'Brien"),
        ("o\u2019brien", "O\u2019Brien"),
        ("ai", "Ai"),
        ("van der berg", "Van Der Berg"),
        ("McDonald", "McDonald"),
        ("é", "É"),
    ],
)
def test_names_of_people(text, expected):
    assert name_case(text) == expected
