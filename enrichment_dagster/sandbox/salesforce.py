"""Salesforce REST: token, update of one record, sObject Collections update, SOQL query.

Shapes: Salesforce REST API Developer Guide, Connect REST API quickstart (client credentials). Every API version is
accepted in the path; the router writes it as `v*`.
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from enrichment_dagster.sandbox.crm_kinds import KINDS, CrmKind
from enrichment_dagster.sandbox.crm_store import CrmStore, Record
from enrichment_dagster.sandbox.salesforce_errors import (
    failed_result,
    fault,
    field_problem,
    locked_collection,
    locked_record,
    problem,
    throttled,
    token_fault,
    token_problem,
)
from enrichment_dagster.sandbox.salesforce_ids import normalise
from enrichment_dagster.sandbox.salesforce_query import Queries
from enrichment_dagster.sandbox.salesforce_session import Sessions
from enrichment_dagster.sandbox.soql import SoqlError
from enrichment_dagster.sandbox.wire import Endpoint, Header, Request, Response, bearer, json_response

MAX_COLLECTION = 200
MAX_URI = 16_384
DAILY_CALLS = 100_000
DATA = "/salesforce/services/data/v*/"

_QUOTED_ID = re.compile(r"'([0-9A-Za-z]{15,18})'")

_SOBJECTS: Mapping[str, CrmKind] = {kind.path: kind for kind in KINDS.values() if kind.system == "salesforce"}

Planned = tuple[CrmStore, Record, dict[str, Any]]


class Salesforce:
    """Answers Salesforce's REST calls from a CRM store."""

    def __init__(self, sessions: Sessions, stores: Mapping[tuple[str, str], CrmStore]) -> None:
        self._stores = {name: stores["salesforce", kind.name] for name, kind in _SOBJECTS.items()}
        self._sessions = sessions
        self._queries = Queries(self._stores)
        self._calls = 0

    def routes(self) -> dict[tuple[str, str], Endpoint]:
        """Method and path of each call; a trailing `/` stands for any one last segment."""
        updates = {
            ("PATCH", f"{DATA}sobjects/{name}/"): Endpoint(
                f"salesforce.{kind.name}_update", self.update, _record_subject, self._sessions.owner, fault,
                throttled, locked_record,
            )
            for name, kind in _SOBJECTS.items()
        }  # fmt: skip
        collections = Endpoint(
            "salesforce.collections_update", self.update_collection, _collection_subjects, self._sessions.owner, fault,
            throttled, locked_collection,
        )  # fmt: skip
        query = Endpoint("salesforce.query", self.query, _query_subject, self._sessions.owner, fault, throttled)
        return {
            ("POST", "/salesforce/services/oauth2/token"): Endpoint(
                "salesforce.token", self.token, key=_client_id, error=token_fault, throttled=throttled
            ),
            **updates,
            ("PATCH", f"{DATA}composite/sobjects"): collections,
            ("GET", f"{DATA}query"): query,
            ("GET", f"{DATA}query/"): query,
        }

    def token(self, request: Request) -> Response:
        """POST oauth2/token with the client credentials grant."""
        form = request.form
        if form.get("grant_type") != "client_credentials":
            return token_problem("unsupported_grant_type", "grant type not supported")
        if not self._sessions.accepts(form.get("client_id", ""), form.get("client_secret", "")):
            return token_problem("invalid_client", "invalid client credentials")
        return json_response(200, self._sessions.open(form["client_id"], request.header(b"host")))

    def update(self, request: Request) -> Response:
        """PATCH one record: 204 without a body."""
        headers, refused = self._opening(request)
        if refused:
            return refused
        sobject = request.path.rpartition("/")[0].rpartition("/")[2]
        record_id = normalise(request.tail)
        record = self._stores[sobject].records.get(record_id) if record_id else None
        if record is None:
            return problem(404, "NOT_FOUND", "The requested resource does not exist", headers=headers)
        changes = request.json
        if not isinstance(changes, dict):
            return problem(400, "JSON_PARSER_ERROR", "The HTTP entity body is required, but this request has none.",
                           headers=headers)  # fmt: skip
        wrong = self._wrong(sobject, changes)
        if wrong:
            return problem(400, wrong["statusCode"], wrong["message"], wrong["fields"], headers)
        self._stores[sobject].update(record, _stored(changes))
        return Response(204, b"", headers)

    def update_collection(self, request: Request) -> Response:
        """PATCH composite/sobjects: HTTP 200 even when every record failed."""
        headers, refused = self._opening(request)
        if refused:
            return refused
        records = request.json_object.get("records")
        if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
            return problem(400, "JSON_PARSER_ERROR", "records is missing", headers=headers)
        if len(records) > MAX_COLLECTION:
            message = f"record limit reached. cannot submit more than {MAX_COLLECTION} records into this call"
            return problem(400, "EXCEEDED_ID_LIMIT", message, headers=headers)
        planned = [self._plan(record) for record in records]
        if request.json_object.get("allOrNone") is True and any(isinstance(plan, dict) for plan in planned):
            return json_response(200, [_rolled_back(plan) for plan in planned], *headers)
        return json_response(200, [self._apply(plan) for plan in planned], *headers)

    def query(self, request: Request) -> Response:
        """GET query?q=, or a further page of one."""
        headers, refused = self._opening(request)
        if refused:
            return refused
        if len(quote(request.path)) + len(request.query_string) + 1 > MAX_URI:
            return problem(414, "URI_TOO_LONG", f"URI length exceeds the {MAX_URI}-byte limit", headers=headers)
        version = request.path.removeprefix("/salesforce/services/data/").partition("/")[0]
        try:
            if request.tail:
                return json_response(200, self._queries.next_page(request.tail, version), *headers)
            return json_response(200, self._queries.first_page(request.query.get("q", ""), version), *headers)
        except SoqlError as error:
            return problem(400, error.code, str(error), headers=headers)

    def _plan(self, record: Mapping[str, Any]) -> Planned | dict[str, Any]:
        """The write one record of a collection asks for, or the result that refuses it."""
        attributes = record.get("attributes")
        sobject = str(attributes.get("type")) if isinstance(attributes, dict) else ""
        if sobject not in _SOBJECTS:
            return failed_result("INVALID_TYPE", "sObject type is missing or not supported.")
        given = record.get("id", record.get("Id"))
        record_id = normalise(given) if isinstance(given, str) else None
        if record_id is None:
            return failed_result("MALFORMED_ID", f"bad id {given}", ["Id"])
        changes = {name: value for name, value in record.items() if name not in ("attributes", "id", "Id")}
        wrong = self._wrong(sobject, changes)
        if wrong:
            return failed_result(wrong["statusCode"], wrong["message"], wrong["fields"])
        found = self._stores[sobject].records.get(record_id)
        if found is None:
            return failed_result("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")
        return self._stores[sobject], found, _stored(changes)

    def _wrong(self, sobject: str, changes: Mapping[str, Any]) -> dict[str, Any] | None:
        """The first thing wrong with a write, as {statusCode, message, fields}."""
        found = field_problem(changes, sobject, _SOBJECTS[sobject].fields)
        account = changes.get("AccountId")
        if found is None and account is not None and normalise(account) not in self._stores["Account"].records:
            message = "invalid cross reference id"
            return {"statusCode": "INVALID_CROSS_REFERENCE_KEY", "message": message, "fields": ["AccountId"]}
        return found

    def _apply(self, plan: Planned | dict[str, Any]) -> dict[str, Any]:
        if isinstance(plan, dict):
            return plan
        store, record, changes = plan
        store.update(record, changes)
        return {"id": record.id, "success": True, "errors": []}

    def _opening(self, request: Request) -> tuple[tuple[Header, ...], Response | None]:
        """The headers of every answer, and the refusal of an unknown or expired session."""
        self._calls += 1
        headers = ((b"sforce-limit-info", b"api-usage=%d/%d" % (self._calls, DAILY_CALLS)),)
        if self._sessions.valid(bearer(request)):
            return headers, None
        return headers, problem(401, "INVALID_SESSION_ID", "Session expired or invalid", headers=headers)


def _rolled_back(plan: Planned | dict[str, Any]) -> dict[str, Any]:
    if isinstance(plan, dict):
        return plan
    message = "Record rolled back because not all records were valid and the request was using AllOrNone header"
    return failed_result("ALL_OR_NONE_OPERATION_ROLLED_BACK", message)


def _client_id(request: Request) -> str:
    return request.form.get("client_id", "")


def _stored(changes: Mapping[str, Any]) -> dict[str, Any]:
    """A write as it is kept: references have their long form."""
    account = changes.get("AccountId")
    return {**changes, **({"AccountId": normalise(account)} if isinstance(account, str) else {})}


def _record_subject(request: Request) -> tuple[str, ...]:
    return (normalise(request.tail) or request.tail,)


def _collection_subjects(request: Request) -> tuple[str, ...]:
    records = request.json_object.get("records")
    if not isinstance(records, list):
        return ()
    ids = (str(record.get("id", record.get("Id", ""))) for record in records if isinstance(record, dict))
    return tuple(normalise(value) or value for value in ids)


def _query_subject(request: Request) -> tuple[str, ...]:
    """The record ids a query names, else its text."""
    text = request.query.get("q", request.tail)
    ids = _QUOTED_ID.findall(text)
    return tuple(normalise(value) or value for value in ids) if ids else (text,)
