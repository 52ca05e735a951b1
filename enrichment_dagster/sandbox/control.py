"""The control endpoints under /_sandbox/: what a test, a demo or a benchmark does to the sandbox from outside."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any

from enrichment_dagster.sandbox.callbacks import is_loopback
from enrichment_dagster.sandbox.catalogue import HUBSPOT_CONTACT, SALESFORCE_LEAD
from enrichment_dagster.sandbox.crm_store import CrmStore, Record, iso_ms
from enrichment_dagster.sandbox.echo import EchoTarget
from enrichment_dagster.sandbox.faults import FaultPlanError, parse_plan
from enrichment_dagster.sandbox.hubspot import as_strings
from enrichment_dagster.sandbox.salesforce_ids import normalise
from enrichment_dagster.sandbox.state import SandboxState
from enrichment_dagster.sandbox.subjects import Person
from enrichment_dagster.sandbox.wire import Request, Response, json_response

MAX_BULK = 100_000
_PREFIX = "/_sandbox/"
_ECHO_FIELDS = {field.name for field in fields(EchoTarget)}


class ControlError(ValueError):
    """The control request makes no sense; the text says why."""


class Control:
    """Answers the control endpoints of one sandbox."""

    def __init__(self, state: SandboxState) -> None:
        self._state = state
        self._next_person = {"hubspot": 0, "salesforce": 0}
        self._calls: dict[tuple[str, str], Callable[[Request], Any]] = {
            ("GET", "health"): self._health,
            ("GET", "counters"): lambda _: state.counters.as_data(),
            ("POST", "reset"): self._reset,
            ("GET", "faults"): lambda _: state.plan.as_data(),
            ("PUT", "faults"): self._replace_faults,
            ("PUT", "hubspot/echo"): self._replace_echo,
            ("POST", "hubspot/contacts"): lambda request: self._create("hubspot", request),
            ("POST", "salesforce/leads"): lambda request: self._create("salesforce", request),
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
            self._state.clear_crm()
            self._next_person = dict.fromkeys(self._next_person, 0)
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

    def _store(self, system: str) -> CrmStore:
        stores = {"hubspot": self._state.hubspot, "salesforce": self._state.salesforce}
        return stores[system]

    def _records(self, parts: list[str]) -> dict[str, Any]:
        """GET crm/{system}/records and crm/{system}/records/{id}."""
        if len(parts) not in (3, 4) or parts[2] != "records":
            raise KeyError("/".join(parts))
        store = self._store(parts[1])
        if len(parts) == 3:
            return {"count": len(store.records), "ids": list(store.records)}
        wanted = normalise(parts[3]) or parts[3] if parts[1] == "salesforce" else parts[3]
        return _as_data(store.records[wanted])

    def _create(self, system: str, request: Request) -> dict[str, Any]:
        """Create records as a form, a list import or an API client would, without counting or logging it.

        Body: {"properties": {...}}, {"person": index}, {"count": n}, or properties together with one of the others.
        The answer lists the records; of a single one the fields also stand at the top.
        """
        body = request.json_object
        properties = body.get("properties") or {}
        if not isinstance(properties, dict):
            raise ControlError("properties is an object")
        known = HUBSPOT_CONTACT if system == "hubspot" else SALESFORCE_LEAD
        unknown = sorted(set(properties) - set(known))
        if unknown:
            raise ControlError(f"{system} has no field {', '.join(unknown)}")
        made = [self._create_one(system, index, properties) for index in self._chosen(system, body)]
        return {**made[0], "records": made} if len(made) == 1 else {"records": made}

    def _chosen(self, system: str, body: dict[str, Any]) -> list[int | None]:
        """The people to create records for; None for one that is given by its properties alone."""
        if "person" in body:
            if not isinstance(body["person"], int):
                raise ControlError("person is an index into the world")
            return [body["person"]]
        if "count" not in body:
            if not body.get("properties"):
                raise ControlError("give properties, person or count")
            return [None]
        count = body["count"]
        if not isinstance(count, int) or not 1 <= count <= MAX_BULK:
            raise ControlError(f"count is a number from 1 to {MAX_BULK}")
        first = self._next_person[system]
        self._next_person[system] = first + count
        return list(range(first, first + count))

    def _create_one(self, system: str, index: int | None, properties: dict[str, Any]) -> dict[str, Any]:
        person = None if index is None else self._state.world.person(index)
        typed = _typed_form(system, person) if person else {}
        fields = typed | properties
        record = self._store(system).create(as_strings(fields) if system == "hubspot" else fields)
        return {
            "id": record.id,
            "email": record.fields.get("email" if system == "hubspot" else "Email"),
            "company": record.fields.get("company" if system == "hubspot" else "Company"),
            "person": person.index if person else None,
            "created_ms": record.created_ms,
        }


def _typed_form(system: str, person: Person) -> dict[str, Any]:
    """What a person types into a form: name, address, employer."""
    if system == "hubspot":
        return {
            "email": person.email,
            "firstname": person.first_name,
            "lastname": person.last_name,
            "company": person.typed_company,
        }
    return {
        "Email": person.email,
        "FirstName": person.first_name,
        "LastName": person.last_name,
        "Company": person.typed_company,
        "LeadSource": "Web",
    }


def _as_data(record: Record) -> dict[str, Any]:
    return {
        "id": record.id,
        "fields": record.fields,
        "created_at": iso_ms(record.created_ms),
        "updated_at": iso_ms(record.updated_ms),
    }
