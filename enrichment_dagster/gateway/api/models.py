"""What goes in and out of the API, as OpenAPI shows it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.config import JsonDict

MAX_TEXT = 500
_MAX_EMAIL = 320
_MAX_ID = 200
_CONTROL_END, _DELETE = 0x20, 0x7F


def _printable(text: str) -> str:
    if any(ord(char) < _CONTROL_END or ord(char) == _DELETE for char in text):
        raise ValueError("has control characters")
    return text.strip()


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


Text = Annotated[str, Field(max_length=MAX_TEXT), AfterValidator(_printable)]

_PROVENANCE_EXAMPLE: JsonDict = {
    "provider": "apollo",
    "fetched_at": "2026-11-23T14:00:00.000Z",
    "confidence": 0.85,
    "stale": False,
}

_REQUEST_EXAMPLE: JsonDict = {
    "email": "dana.reyes@northwind-parts.com",
    "company": "Northwind Parts",
    "source_system": "salesforce",
    "source_id": "00Q5f000001abcDEAQ",
    "deadline_ms": 2000,
}

_ASYNC_EXAMPLE: JsonDict = {
    "email": "dana.reyes@northwind-parts.com",
    "mode": "async",
    "callback_url": "https://crm.example.com/hooks/enriched",
}

_ANSWER_EXAMPLE: JsonDict = {
    "event_id": "evt_4f1c09a2b3d4e5f60718293a",
    "status": "partial",
    "reason": "",
    "data": {"company_name": "Northwind Parts", "company_domain": "northwind-parts.com", "employees": 640},
    "provenance": {
        "company_name": _PROVENANCE_EXAMPLE | {"provider": "api", "confidence": 1.0},
        "company_domain": _PROVENANCE_EXAMPLE,
        "employees": _PROVENANCE_EXAMPLE,
    },
    "missing_fields": {"industry": "timeout"},
    "routing": {
        "segment": "mid_market",
        "score": 25,
        "route": "inside_sales",
        "reasons": ["segment mid_market: employees >= 100", "100 to 999 employees"],
    },
    "cost_usd": 0.02,
    "latency_ms": 2400.8,
}


class EnrichRequest(BaseModel):
    """A lead to be enriched. ``email`` or ``domain`` is needed; leads are only enriched with an e-mail address."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "examples": [_REQUEST_EXAMPLE, _ASYNC_EXAMPLE],
            "anyOf": [{"required": [name], "properties": {name: {"minLength": 1}}} for name in ("email", "domain")],
        },
    )

    email: Annotated[str, Field(max_length=_MAX_EMAIL), AfterValidator(_printable)] = Field(
        default="", description="The lead's address. One that is none is answered with the status skipped."
    )
    company: Text = Field(default="", description="The company's name, as the lead gave it.")
    domain: Text = Field(default="", description="The company's domain or website.")
    source_system: Annotated[str, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9_.-]{0,39})?$")] = Field(
        default="", description="Where the record is: salesforce, hubspot, or a name of your own."
    )
    source_object: Annotated[str, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9_.-]{0,39})?$")] = Field(
        default="", description="The kind of record; lead for salesforce, contact for hubspot if left out."
    )
    source_id: Annotated[str, Field(max_length=_MAX_ID), AfterValidator(_printable)] = Field(
        default="", description="The record's id; what is found is written to it. Goes with source_system."
    )
    event_type: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)] = Field(
        default="lead_created", description="Names the plan in enrichment.yaml."
    )
    mode: Literal["sync", "async"] = Field(
        default="sync", description="sync: the answer is the data; async: it is a URL to look at later."
    )
    deadline_ms: Annotated[int, BeforeValidator(_whole), Field(ge=1)] | None = Field(
        default=None, description="How long the answer may take; more than 3000 counts as 3000. sync only."
    )
    callback_url: Annotated[str, Field(max_length=2_000), AfterValidator(_printable)] = Field(
        default="", description="https URL that the result is posted to, signed by Standard Webhooks. async only."
    )


class Provenance(BaseModel):
    """Where a value is from."""

    provider: str
    fetched_at: str
    confidence: float
    stale: bool


class Routing(BaseModel):
    """Where the lead goes, and why."""

    segment: str
    score: int
    route: str
    reasons: list[str]


class EnrichAnswer(BaseModel):
    """What was found within the deadline."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ANSWER_EXAMPLE]})

    event_id: str
    status: Literal["cached", "enriched", "partial", "skipped", "failed"]
    reason: str = Field(description="Why it was skipped or failed; empty otherwise.")
    data: dict[str, Any]
    provenance: dict[str, Provenance]
    missing_fields: dict[str, str] = Field(description="Wanted fields that are not there, each with its reason.")
    routing: Routing
    cost_usd: float
    latency_ms: float


class AcceptedAnswer(BaseModel):
    """The event is recorded; its data come later."""

    event_id: str = Field(examples=["evt_4f1c09a2b3d4e5f60718293a"])
    status_url: str = Field(examples=["https://enrich.example.com/events/evt_4f1c09a2b3d4e5f60718293a"])


class JourneyAnswer(BaseModel):
    """One event with all that happened: see ``enrichment explain``, which shows the same."""

    model_config = ConfigDict(extra="allow")

    event: dict[str, Any]
    state: Literal["received", "due", "assigned", "owed", "done"]
    outcome: str | None
    reason: str
    cost_usd: float
    latency: dict[str, Any]
    timeline: list[dict[str, Any]]
    routing: dict[str, Any] | None
    steps: list[dict[str, Any]]
    fields: list[dict[str, Any]]
    missing: dict[str, str]
    deliveries: list[dict[str, Any]]


class Error(BaseModel):
    """Why a request is not answered."""

    reason: str = Field(description="A stable code.", examples=["unauthorized"])
    detail: str = Field(examples=["send a valid key as 'Authorization: Bearer ...' or 'X-API-Key: ...'"])


class ErrorAnswer(BaseModel):
    """Every answer that is not 2xx has this form."""

    error: Error
