"""Odd requests by the hundred, made up from the OpenAPI description: the API keeps to it and never fails."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode, checks
from support.enrich import KEY

CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]


@pytest.fixture(scope="module")
def schema(running: Any) -> Any:
    """What the running application says of itself; it is called in process."""
    return schemathesis.openapi.from_asgi("/openapi.json", running.app)


@pytest.mark.parametrize(
    ("path", "method", "mode", "expected"),
    [
        ("/enrich", "POST", GenerationMode.POSITIVE, {200}),
        ("/enrich", "POST", GenerationMode.NEGATIVE, {400, 422}),
        ("/events/{event_id}", "GET", GenerationMode.POSITIVE, {404}),
    ],
)
def test_the_api_keeps_to_its_description(
    schema: Any, path: str, method: str, mode: GenerationMode, expected: set[int]
) -> None:
    statuses = set()

    @settings(max_examples=50, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(case=schema[path][method].as_strategy(generation_mode=mode))
    def keeps_to_it(case: schemathesis.Case) -> None:
        response = case.call_and_validate(headers={"Authorization": f"Bearer {KEY}"}, checks=CHECKS)
        statuses.add(response.status_code)

    keeps_to_it()
    assert expected <= statuses
