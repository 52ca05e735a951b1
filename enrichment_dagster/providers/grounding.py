"""What a language model may be told of a company, and whether what it answers rests on that.

Values come from forms and vendors, so any of them may try to give the model orders. Three things keep that harmless:
facts are short texts inside a JSON object, the answer has to have one exact shape, and each citation has to quote a
fact.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, ValidationError

from enrichment_dagster.domain.fields import Value
from enrichment_dagster.errors import ProviderError
from enrichment_dagster.ports import Query
from enrichment_dagster.providers.lookup import malformed

# Nothing of a person: the answer belongs to the domain, and all its people share it. Neither news, whose titles name
# people.
FACTS = (
    "company_name", "company_domain", "industry", "employees", "employee_growth", "founded_year", "company_city",
    "company_state", "company_country", "annual_revenue", "total_funding", "funding_stage", "tech_stack", "competitors",
    "intent_topics", "intent_score",
)  # fmt: skip
"""The fields that may leave for a model."""

MAX_FACT = 300
"""Characters of a value that are told; the rest is cut."""


class Citation(BaseModel):
    """Where a claim comes from."""

    model_config = ConfigDict(extra="forbid", strict=True)

    field: str
    quote: str


class Research(BaseModel):
    """What the model has to answer, and nothing more."""

    model_config = ConfigDict(extra="forbid", strict=True)

    summary: str
    citations: list[Citation]


def facts_of(query: Query) -> dict[str, str]:
    """Return what may be told, as short texts, so that a quote can be looked up letter by letter."""
    texts = {name: _text(query.known[name])[:MAX_FACT] for name in FACTS if name in query.known}
    return {name: text for name, text in texts.items() if text.strip()}


def read_research(content: str) -> Research:
    """Return the model's answer.

    Raises:
        ProviderError: it is not the object that was asked for. What it is instead is not repeated.
    """
    try:
        return Research.model_validate_json(content)
    except ValidationError:
        pass  # raised outside of the handler, because pydantic's error quotes the text
    raise malformed("the text is not the object that was asked for")


def sources_of(research: Research, facts: Mapping[str, str]) -> list[str]:
    """Return the fields that the research rests on.

    Raises:
        ProviderError: nothing is cited, or a citation names a field that was not given or quotes what it does not say.
    """
    if not research.citations or not all(_holds(citation, facts) for citation in research.citations):
        raise ProviderError("uncited", transient=False)
    return list(dict.fromkeys(citation.field for citation in research.citations))


def _holds(citation: Citation, facts: Mapping[str, str]) -> bool:
    quote = _plain(citation.quote)
    return bool(quote) and quote in _plain(facts.get(citation.field, ""))


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _text(value: Value) -> str:
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else str(value)
    return str(value) if isinstance(value, str | int) else ", ".join(str(item) for item in value)
