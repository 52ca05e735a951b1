"""The journey of one event as tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from enrichment_dagster.cli.explain_steps_view import (
    late_answers_table,
    money_cell,
    passed_over_table,
    steps_table,
    work_name,
)
from enrichment_dagster.cli.output import add_row, clean, make_table
from enrichment_dagster.cli.words import counted, seconds_text

if TYPE_CHECKING:
    from rich.console import RenderableType

_HIDDEN = "(hidden)"
_KINDS = {"gap_fill": "gap fill", "refresh": "replay", "answer": "late answer"}
_MISSING = {
    "no_data": "no data: everybody who could have it was asked",
    "timeout": "timeout: the deadline came first",
    "budget": "budget: the money for it was spent",
    "policy": "policy: a rule forbids asking",
    "provider_down": "provider down: one that may have it failed",
    "no_provider": "no provider: nobody in the plan has it",
    "invalid": "invalid: a value came and is in quarantine",
    "pending": "pending: a provider answers later",
}
_SKIPPED = {
    "cooldown": "the record was enriched for such an event a short while ago (policy.cooldown_seconds)",
    "debounced": "a newer event of the same moment stands for it (policy.debounce_seconds)",
    "out_of_order": "a newer event of the record came first",
    "fresh": "all that is wanted was bought not long ago (fresh_seconds)",
    "status": "the record's status says that there is nothing to do (policy.only_status)",
    "suppressed": "on the list of those who are left alone (enrichment suppress)",
    "no_consent": "the record says that its person does not consent",
    "skipped_domain": "the domain is on the list (policy.skip_domains)",
    "no_email": "nobody knows an e-mail address",
    "no_domain": "nobody knows a domain of the company",
    "personal_email": "an address of no company",
    "disposable_email": "an address to be thrown away",
    "stage_not_configured": "not a stage that matters (trigger.stages)",
    "page_not_configured": "not a page that matters (trigger.pages)",
    "anonymous_visitor": "nobody knows who it was",
    "below_threshold": "not enough intent (trigger.min_score)",
    "topic_not_configured": "not a topic that matters (trigger.topics)",
    "soft_bounce": "it may work tomorrow: nothing is wrong for good",
    "unsupported_event_type": "no event type of enrichment.yaml",
}
_STATES = {
    "received": "received, not picked up yet: the next tick does it",
    "due": "waiting for a batch",
    "assigned": "in a batch",
    "owed": "enriched, the write to the CRM is still owed",
    "done": "done",
}


def explanation_view(report: Mapping[str, Any]) -> RenderableType:
    """Return the whole journey."""
    from rich.console import Group

    parts = [
        *_head(report),
        _timeline(report),
        steps_table(report["steps"]),
        passed_over_table(report["passed_over"]),
        late_answers_table(report["late_answers"]),
        _calls(report["calls"]),
        _reused(report["reused"]),
        _fields(report),
        _missing(report["missing"]),
        _quarantined(report),
        _proven_wrong(report),
        _deliveries(report),
        _follow_ups(report["follow_ups"]),
    ]
    return Group(*(part for part in parts if part is not None))


def mentions_view(title: str, mentions: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Return a list of events."""
    table = make_table(title, "event", "type", "received", "state", "outcome", "reason")
    for item in mentions:
        add_row(
            table, *(item[name] for name in ("event_id", "event_type", "received_at", "state", "outcome", "reason"))
        )
    return table


def _head(report: Mapping[str, Any]) -> Iterator[RenderableType]:
    from rich.text import Text

    event, latency = report["event"], report["latency"]
    yield Text(clean(f"{event['event_id']}  {event['event_type']}  {event['record']}"), style="bold")
    said = ", ".join(f"{name}={_HIDDEN if value is None else value}" for name, value in event["attributes"].items())
    number = f", their id {event['sender_event_id']}" if event["sender_event_id"] else ""
    yield Text(clean(f"from {event['source']}{number}; {event['lane']} lane{f'; said {said}' if said else ''}"))
    reason = report["reason"]
    told = f"{reason}, {_SKIPPED[reason]}" if reason in _SKIPPED else reason
    outcome = ": ".join(part for part in (report["outcome"], told) if part)
    yield Text(clean(f"{_STATES.get(report['state'], report['state'])}{f' - {outcome}' if outcome else ''}"))
    if report["caused_by"]:
        yield Text(f"follows from what was written for {report['caused_by']}")
    hops = ", ".join(f"{name.replace('_', ' ')} {seconds_text(seconds)}" for name, seconds in latency["hops"].items())
    so_far = " so far" if latency["open"] else ""
    yield Text(f"{seconds_text(latency['seconds'])} end to end{so_far} ({hops}); cost {money_cell(report['cost_usd'])}")
    if routing := report["routing"]:
        reasons = f" ({', '.join(routing.get('reasons', ()))})" if routing.get("reasons") else ""
        found = f"segment {routing.get('segment')}, score {routing.get('score')}, route {routing.get('route')}"
        yield Text(clean(f"routed: {found}{reasons}"))
    for dead in report["dead_letters"]:
        yield Text(clean(f"dead letter {dead['work_id']}: {dead['reason']} ({dead['detail']})"), style="red")


def _timeline(report: Mapping[str, Any]) -> RenderableType:
    table = make_table("Timeline", "step", "at (UTC)", "after", "")
    details = {"started": _runs(report), "assigned to a batch": _batches(report)}
    for number, row in enumerate(report["timeline"]):
        after = f"+{seconds_text(row['seconds'])}" if row["seconds"] >= 0 else f"-{seconds_text(-row['seconds'])}"
        add_row(table, row["step"], row["at"], after if number else "", details.get(row["step"], ""))
    return table


def _runs(report: Mapping[str, Any]) -> str:
    batch = _own_batch(report)
    return f"run {', '.join(batch['run_ids'])}" if batch and batch["run_ids"] else ""


def _batches(report: Mapping[str, Any]) -> str:
    batch = _own_batch(report)
    if batch is None:
        return ""
    return (
        f"batch {batch['batch_id']} of {batch['size']}, attempt {batch['attempt']}, {counted(batch['starts'], 'start')}"
    )


def _own_batch(report: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the batch of the event itself, not that of a follow-up."""
    event_id = report["event"]["event_id"]
    return next((batch for batch in report["batches"] if event_id in batch["work_ids"]), None)


def _calls(calls: Sequence[Mapping[str, Any]]) -> RenderableType | None:
    if not calls:
        return None
    columns = ("provider", "asked", "subject", "result", "http", "latency", "cost")
    table = make_table("Calls that this event paid for", *columns, right=("http", "latency", "cost"))
    for call in calls:
        result = ": ".join(part for part in (call["state"], call["reason"]) if part)
        latency = "-" if call["latency_ms"] is None else f"{call['latency_ms']} ms"
        asked = f"{call['purpose']} ({call['role']})" if call["role"] else call["purpose"]
        cells = (call["provider"], asked, call["subject"], result, call["http_status"], latency)
        units = f" ({call['units']} units)" if call["units"] > 1 and call["cost_usd"] else ""
        add_row(
            table,
            *cells,
            f"{money_cell(call['cost_usd'])}{units}",
            style="red" if call["state"] in {"error", "unknown"} else "",
        )
    return table


def _reused(answers: Sequence[Mapping[str, Any]]) -> RenderableType | None:
    if not answers:
        return None
    table = make_table("Answers from the cache", "provider", "asked", "subject", "fetched (UTC)", "paid by", "fields")
    for item in answers:
        cells = [item[name] for name in ("provider", "purpose", "subject", "fetched_at")]
        add_row(table, *cells, item["paid_by_event"] or "an event that is not known", ", ".join(item["fields"]))
    return table


def _fields(report: Mapping[str, Any]) -> RenderableType | None:
    if not report["fields"]:
        return None
    disputed = any(item["alternatives"] for item in report["fields"])
    several = len({item["work_id"] for item in report["fields"]}) > 1
    numbers = ("confidence", "age", "cost")
    first, last = ("work",) if several else (), ("others",) if disputed else ()
    title = "Fields (cost: of the call that brought it, once for all its fields)"
    table = make_table(title, *first, "field", "value", "provider", "origin", *numbers, *last, right=numbers)
    for item in report["fields"]:
        work = [work_name(item["work_id"])] if several else []
        others = [_others(item, report)] if disputed else []
        add_row(
            table,
            *work,
            item["field"],
            _value(item["value"], report),
            item["provider"],
            _origin(item),
            f"{item['confidence']:.2f}",
            seconds_text(item["age_seconds"]),
            money_cell(item["call_usd"] or 0),
            *others,
            style="yellow" if item["stale"] else "",
        )
    return table


def _origin(item: Mapping[str, Any]) -> str:
    marks = ["stale"] if item["stale"] else []
    return ", ".join([item["origin"], *marks, *([] if item["chosen"] else ["not chosen"])])


def _others(item: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    """Return what others said; those who said the same are named only."""
    shown = report["values_shown"]
    same = [other["provider"] for other in item["alternatives"] if shown and other["value"] == item["value"]]
    else_said = [_said(other, report) for other in item["alternatives"] if not shown or other["value"] != item["value"]]
    return "; ".join([*([f"also {', '.join(dict.fromkeys(same))}"] if same else []), *else_said])


def _said(other: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    value = f"'{_value(other['value'], report)}'" if report["values_shown"] else _HIDDEN
    return f"{other['provider']} said {value} ({other['confidence']:.2g})"


def _missing(missing: Mapping[str, str]) -> RenderableType | None:
    if not missing:
        return None
    table = make_table("Missing", "field", "why")
    for name, why in missing.items():
        add_row(table, name, _MISSING.get(why, why))
    return table


def _quarantined(report: Mapping[str, Any]) -> RenderableType | None:
    if not report["quarantined"]:
        return None
    table = make_table("Quarantined values", "field", "value", "provider", "why")
    for bad in report["quarantined"]:
        add_row(table, bad["field"], _value(bad["raw"], report), bad["provider"], bad["reason"])
    return table


def _proven_wrong(report: Mapping[str, Any]) -> RenderableType | None:
    if not report["proven_wrong"]:
        return None
    table = make_table("Proven wrong: nobody brings it back", "subject", "field", "value", "why")
    for bad in report["proven_wrong"]:
        add_row(table, bad["subject"], bad["field"], _value(bad["value"], report), bad["reason"])
    return table


def _deliveries(report: Mapping[str, Any]) -> RenderableType | None:
    if not report["deliveries"]:
        return None
    table = make_table("CRM", "record", "property", "what", "value or reason")
    for item in report["deliveries"]:
        if item["state"] == "owed":
            when = f"owed, {counted(item['tries'], 'try', 'tries')}, next at {item['next_at']}"
            add_row(table, item["record"], "", when, item["reason"], style="yellow")
        elif item["status"] == "rejected":
            add_row(table, item["record"], "", "rejected by the CRM", item["reason"], style="red")
        rows = [(name, "owed", _value(value, report)) for name, value in item["owed"].items()]
        rows += [(name, "written", _value(value, report)) for name, value in item["written"].items()]
        rows += [(name, "kept", why) for name, why in item["kept"].items()]
        if item["employer"]:
            companies = [item["employer"][name] or "-" for name in ("former_domain", "domain")]
            rows.append(("company", "changed", " -> ".join(_value(name, report) for name in companies)))
        for row in rows:
            add_row(table, item["record"], *row)
    return table


def _follow_ups(follow_ups: Sequence[Mapping[str, Any]]) -> RenderableType | None:
    if not follow_ups:
        return None
    table = make_table("Follow-ups", "work", "kind", "state", "due (UTC)", "outcome", "cost")
    for item in follow_ups:
        outcome = ": ".join(part for part in (item["outcome"], item["reason"]) if part)
        limited = f": {', '.join(item['lookups'])}" if item["lookups"] else ""
        kind = f"{_KINDS.get(item['kind'], item['kind'])}{limited}"
        add_row(table, item["work_id"], kind, item["state"], item["due_at"], outcome, money_cell(item["cost_usd"]))
    return table


def _value(value: Any, report: Mapping[str, Any]) -> str:
    if not report["values_shown"]:
        return _HIDDEN
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
