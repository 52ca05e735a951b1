"""The control endpoints under /_sandbox/: what a test, a demo or a benchmark does to the sandbox from outside."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any

from enrichment_dagster.sandbox.callbacks import is_loopback
from enrichment_dagster.sandbox.control_crm import CRM_PATHS, ControlError, CrmControl
from enrichment_dagster.sandbox.crm_links import PRIMARY
from enrichment_dagster.sandbox.crm_store import Record, iso_ms
from enrichment_dagster.sandbox.echo import EchoTarget
from enrichment_dagster.sandbox.faults import FaultPlanError, parse_plan
from enrichment_dagster.sandbox.salesforce_ids import normalise
from enrichment_dagster.sandbox.state import SandboxState
from enrichment_dagster.sandbox.wire import Request, Response, json_response

_PREFIX = "/_sandbox/"
_ECHO_FIELDS = {field.name for field in fields(EchoTarget)}


class Control:
    """Answers the control endpoints of one sandbox."""

    def __init__(self, state: SandboxState) -> None:
        self._state = state
        self._crm = CrmControl(state)
        self._calls: dict[tuple[str, str], Callable[[Request], Any]] = {
            ("GET", "health"): self._health,
            ("GET", "counters"): lambda _: state.counters.as_data(),
            ("POST", "reset"): self._reset,
            ("GET", "faults"): lambda _: state.plan.as_data(),
            ("PUT", "faults"): self._replace_faults,
            ("PUT", "hubspot/echo"): self._replace_echo,
            **{("POST", path): self._crm.creating(place) for path, place in CRM_PATHS.items()},
            ("POST", "salesforce/expire-sessions"): lambda _: {"expired": state.sessions.expire_all()},
            ("GET", "crm/writes"): self._writes,
            ("GET", "clay/tables"): lambda _: state.clay_tables.as_data(),
        }

    def answer(self, request: Request) -> Response:
        """Answer one control request; errors are JSON with `error`."""
        path = request.path.removeprefix(_PREFIX)
        call = self._calls.get((request.method, path))
        try:
            if call is not None:
                return json_response(200, call(request))
            if request.method == "GET" and path.startswith("crm/"):
                return json_response(200, self._records(path.split("/")))
        except (ControlError, FaultPlanError) as error:
            return json_response(400, {"error": str(error)})
        except KeyError as error:
            return json_response(404, {"error": f"not found: {error.args[0]}"})
        return json_response(404, {"error": f"no control endpoint {request.method} {path}"})

    def _health(self, _: Request) -> dict[str, Any]:
        state = self._state
        return {
            "status": "ok",
            "seed": state.config.seed,
            "people": len(state.world.all_people),
            "companies": len(state.world.all_companies),
            "records": {"hubspot": len(state.hubspot.records), "salesforce": len(state.salesforce.records)},
        }

    def _reset(self, request: Request) -> dict[str, Any]:
        """Body {"counters": bool, "crm": bool}; what is not named is reset when nothing is named."""
        chosen = request.json_object or {"counters": True, "crm": True}
        if chosen.get("counters"):
            self._state.counters.reset()
        if chosen.get("crm"):
            self._crm.reset()
        return {"reset": sorted(name for name in ("counters", "crm") if chosen.get(name))}

    def _replace_faults(self, request: Request) -> dict[str, Any]:
        self._state.plan = parse_plan(request.json)
        return self._state.plan.as_data()

    def _replace_echo(self, request: Request) -> dict[str, Any]:
        """Body: the fields of an EchoTarget, to which webhooks of each write go from now on; {} ends it."""
        body = request.json_object
        if set(body) - _ECHO_FIELDS or not all(isinstance(value, str) for value in body.values()):
            raise ControlError(f"texts are {', '.join(sorted(_ECHO_FIELDS))}")
        if body and not (is_loopback(body.get("url")) and body.get("secret")):
            raise ControlError("url is on the loopback address, secret signs what goes there")
        self._state.echo.target = EchoTarget(**body) if body else None
        return {"echo": body.get("url")}

    def _writes(self, request: Request) -> dict[str, Any]:
        since = request.query.get("since", "0")
        return {"writes": self._state.writes.as_data(int(since) if since.isdigit() else 0)}

    def _records(self, parts: list[str]) -> dict[str, Any]:
        """GET crm/{system}/records (contacts or leads) and crm/{system}/records/{id} (of any kind)."""
        if len(parts) not in (3, 4) or parts[2] != "records":
            raise KeyError("/".join(parts))
        stores = {place: store for place, store in self._state.stores.items() if place[0] == parts[1]}
        if not stores:
            raise KeyError(parts[1])
        if len(parts) == 3:
            people = self._state.hubspot if parts[1] == "hubspot" else self._state.salesforce
            return {"count": len(people.records), "ids": list(people.records)}
        wanted = normalise(parts[3]) or parts[3] if parts[1] == "salesforce" else parts[3]
        for store in stores.values():
            if wanted in store.records:
                return _as_data(store.records[wanted]) | self._company_of(store.kind, wanted)
        raise KeyError(wanted)

    def _company_of(self, kind: str, record_id: str) -> dict[str, Any]:
        """The primary company of a HubSpot record that has one; Salesforce keeps it in a field."""
        found = self._state.links.primary(kind, record_id) if kind in PRIMARY else None
        return {"company": found} if found else {}


def _as_data(record: Record) -> dict[str, Any]:
    return {
        "id": record.id,
        "fields": record.fields,
        "created_at": iso_ms(record.created_ms),
        "updated_at": iso_ms(record.updated_ms),
    }
