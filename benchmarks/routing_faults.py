"""What POST /enrich answers when a provider hangs, when one call in five fails, and when all ask for the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.enrich import Person, Window, at_once, drive, request, warm_up
from benchmarks.results import Result
from benchmarks.routing_speed import WARM_UP, calls_so_far
from benchmarks.servers import Change, gateway
from benchmarks.stack import Installation

_GOOD = frozenset({"enriched", "partial", "cached"})
_PROVIDERS = ("clearbit", "apollo")
_WANTED = frozenset({"company_name", "company_domain", "industry", "employees"})
"""The fields of the shipped plan for routing. Answers hold more, of which none is waited for."""


def hanging_provider(place: Installation, people: Sequence[Person], result: Result) -> None:
    """(d) One provider answers nothing for 30 s, each by turns; a gateway without it says what the other ones have."""
    sizes = result.parameters["hanging_provider"]
    latency = {"latency": sizes["provider_ms"]}
    lost, bad, slowest = 0, 0, 0.0
    for name in _PROVIDERS:
        place.crms.set_faults({"*": latency})
        expected = _fields(_window(place, people, sizes, f"without-{name}", change=_without(name)))
        place.crms.set_faults({"*": latency, f"{name}.*": {"hang_rate": 1.0, "hang_seconds": 30.0}})
        window = _window(place, people, sizes, f"{name}-hangs")
        result.details[f"{name} hangs"] = window.as_data()
        answers = window.answers()
        lost += _lacking(expected, answers)
        bad += sum(
            answer.get("status") not in _GOOD for fields, answer in zip(expected, answers, strict=True) if fields
        )
        slowest = max(slowest, window.p(0.99))
    place.crms.set_faults({"*": latency})
    result.add("one provider hanging for 30 s, p99 (worse of two)", slowest, "ms", below=3_000)
    result.add("one provider hanging: answers without a field that others have", lost, "requests", at_most=0)
    result.add("one provider hanging: answers worse than partial", bad, "requests", at_most=0)


def failing_calls(place: Installation, people: Sequence[Person], result: Result) -> None:
    """(e) Every provider refuses one call in five; an undisturbed gateway says what there is to be had."""
    sizes = result.parameters["failing_calls"]
    latency = {"latency": sizes["provider_ms"]}
    place.crms.set_faults({"*": latency})
    expected = _fields(_window(place, people, sizes, "undisturbed"))
    place.crms.set_faults({"*": {**latency, "error_rate": sizes["error_share"]}})
    window = _window(place, people, sizes, "errors")
    place.crms.set_faults({"*": latency})
    result.details["failing calls"] = window.as_data()
    complete = 100.0 * (1 - _lacking(expected, window.answers()) / len(expected))
    result.add("20 % of all calls fail: answers with every field that there is", complete, "%", at_least=99)
    result.add("20 % of all calls fail, p50", window.p(0.50), "ms")
    result.add("20 % of all calls fail, p99", window.p(0.99), "ms", below=3_000)


def same_at_once(place: Installation, people: Sequence[Person], result: Result) -> None:
    """(f) Fifty callers ask for one lead at the same moment, half of them another process."""
    sizes = result.parameters["same_at_once"]
    place.crms.set_latency(sizes["provider_ms"])
    most, bad, windows = 0, 0, []
    with gateway(place, "same", workers=2) as server:
        warm_up(server, people[:WARM_UP])
        for person in people[WARM_UP : WARM_UP + sizes["rounds"]]:
            before = calls_so_far(place)
            window = at_once(server, [request(person)] * sizes["callers"])
            made = [calls - before[name] for name, calls in calls_so_far(place).items()]
            windows.append({**window.as_data(), "calls": made})
            most = max(most, *made)
            told = [what_matters(answer) for answer in window.answers()]
            bad += sum(one != told[0] for one in told)
    result.details["same at once"] = windows
    many = f"{sizes['callers']} at once for one lead, two workers"
    result.add(f"{many}: calls of a lookup (most of {sizes['rounds']} rounds)", most, "calls", at_most=1)
    result.add(f"{many}: answers that differ in a wanted field or the routing", bad, "requests", at_most=0)


def what_matters(answer: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """Return the wanted fields and where the lead goes: an answer leaves when these are there, whatever else is."""
    data = answer.get("data", {})
    return {name: data.get(name) for name in sorted(_WANTED)}, answer.get("routing")


def _window(
    place: Installation, people: Sequence[Person], sizes: dict[str, Any], name: str, change: Change | None = None
) -> Window:
    """Ask for the same leads of a gateway with empty stores."""
    count = round(sizes["rate"] * sizes["seconds"])
    with gateway(place, name, change=change) as server:
        return drive(server, [request(person) for person in people[:count]], sizes["rate"])


def _without(provider: str) -> Change:
    def disable(config: dict[str, Any]) -> None:
        config["providers"][provider]["enabled"] = False

    return disable


def _fields(window: Window) -> list[set[str]]:
    """Return for each answer the wanted fields that a provider had."""
    if window.refused:
        raise RuntimeError(f"{window.refused} answers are missing of the run that the others are compared with")
    return [
        {name for name, told in answer["provenance"].items() if name in _WANTED and told["provider"] in _PROVIDERS}
        for answer in window.answers()
    ]


def _lacking(expected: Sequence[set[str]], answers: Sequence[dict[str, Any]]) -> int:
    """Return how many answers lack a field that was to be had."""
    pairs = zip(expected, answers, strict=True)
    return sum(not fields <= set(answer.get("data", {})) for fields, answer in pairs)
