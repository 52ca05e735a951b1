"""The view ``lead_scores``: the configuration's routing rules as SQL over the stored fields."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from string import Template

from enrichment_dagster.domain.config import RoutingConfig
from enrichment_dagster.domain.expression_names import LEAD_NAMES, ROUTE_NAMES, Type
from enrichment_dagster.domain.expressions import parse
from enrichment_dagster.store.expression_sql import condition_sql
from enrichment_dagster.store.warehouse_extensions import quoted
from enrichment_dagster.store.warehouse_sql import sql

_NO_REASONS = "[]::VARCHAR[]"


def lead_scores_sql(config: RoutingConfig) -> str:
    """Return the statement that creates or replaces the view for these rules."""
    segments = [condition_sql(parse(rule.when, LEAD_NAMES)) for rule in config.segments]
    scores = [condition_sql(parse(rule.when, LEAD_NAMES)) for rule in config.score]
    routes = [condition_sql(parse(rule.when, ROUTE_NAMES)) for rule in config.routes]
    points = [
        f"CASE WHEN {when} THEN {rule.points} ELSE 0 END" for when, rule in zip(scores, config.score, strict=True)
    ]
    reasons = [
        _first([when], [_reason(rule.reason)], _NO_REASONS) for when, rule in zip(scores, config.score, strict=True)
    ]
    return Template(sql("lead_scores")).substitute(
        numbers=", ".join(_finite(name) for name, kind in LEAD_NAMES.items() if kind is Type.NUMBER),
        segment=_first(segments, _texts(rule.name for rule in config.segments), quoted(config.default_segment)),
        segment_reason=_first(segments, [_reason(rule.because) for rule in config.segments], _NO_REASONS),
        points=f"coalesce(list_sum([{', '.join(points)}]), 0)::DOUBLE",
        score_reasons=f"flatten([{', '.join([_NO_REASONS, *reasons])}])",
        route=_first(routes, _texts(rule.to for rule in config.routes), quoted(config.default_route)),
        route_reason=_first(routes, [_reason(rule.because) for rule in config.routes], _NO_REASONS),
    )


def _first(conditions: Sequence[str], results: Sequence[str], otherwise: str) -> str:
    """Return the result of the first condition that holds."""
    cases = [f"WHEN {when} THEN {result}" for when, result in zip(conditions, results, strict=True)]
    return f"CASE {' '.join(cases)} ELSE {otherwise} END" if cases else otherwise


def _texts(names: Iterable[str]) -> list[str]:
    return [quoted(name) for name in names]


def _reason(text: str) -> str:
    return f"[{quoted(text)}]"


def _finite(name: str) -> str:
    return f'CASE WHEN isfinite("{name}"::DOUBLE) THEN "{name}"::DOUBLE END AS "{name}"'
