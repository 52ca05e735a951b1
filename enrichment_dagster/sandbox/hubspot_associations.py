"""HubSpot's associations v4 from contacts and deals to companies.

Source: associations v4 guide and reference. A record without a company is an error of the batch, with status 207.
"""

from collections.abc import Iterator
from typing import Any

from enrichment_dagster.sandbox.crm_links import UNLABELLED, Links
from enrichment_dagster.sandbox.crm_store import CrmStore, iso_ms
from enrichment_dagster.sandbox.hubspot_errors import bad_request, fault, not_found, standard_error, throttled
from enrichment_dagster.sandbox.hubspot_limits import HubSpotLimits
from enrichment_dagster.sandbox.wire import Endpoint, Request, Response, bearer, json_response, now_ms

MOST_INPUTS = 1_000
_PATHS = {"contact": "contacts", "deal": "deals"}
_TYPE_IDS = {"contact": "0-1", "company": "0-2", "deal": "0-3"}


class HubSpotAssociations:
    """Answers the calls for one kind of record."""

    def __init__(self, kind: str, stores: dict[tuple[str, str], CrmStore], links: Links, limits: HubSpotLimits) -> None:
        self._kind = kind
        self._records = stores["hubspot", kind]
        self._companies = stores["hubspot", "company"]
        self._links = links
        self._limits = limits

    def routes(self) -> Iterator[tuple[tuple[str, str], Endpoint]]:
        """Method and path of each call; `*` stands for the record's id, a trailing `/` for the company's."""
        path = _PATHS[self._kind]
        of_record = f"/hubspot/crm/v4/objects/{path}/*/associations"
        for method, place, call, handle, subject in (
            ("GET", f"{of_record}/companies", "read", self.read, self._record),
            ("PUT", f"{of_record}/default/companies/", "put", self.put, self._record),
            ("PUT", f"{of_record}/companies/", "label", self.label, self._record),
            ("POST", f"/hubspot/crm/v4/associations/{path}/companies/batch/read", "batch_read", self.batch, _inputs),
        ):
            name = f"hubspot.{self._kind}_association_{call}"
            yield (method, place), Endpoint(name, handle, subject, bearer, fault, throttled)

    def read(self, request: Request) -> Response:
        """GET the companies of one record."""
        refused = self._limits.refused(request)
        if refused:
            return refused
        headers, record_id = self._limits.headers(request), self._record(request)[0]
        if record_id not in self._records.records:
            return not_found(headers)
        return json_response(200, {"results": self._links.as_results(self._kind, record_id)}, *headers)

    def batch(self, request: Request) -> Response:
        """POST batch/read."""
        refused = self._limits.refused(request)
        if refused:
            return refused
        headers, inputs = self._limits.headers(request), request.json_object.get("inputs")
        if not isinstance(inputs, list) or not all(isinstance(item, dict) for item in inputs):
            return bad_request("Invalid input JSON: inputs is missing", headers)
        if len(inputs) > MOST_INPUTS:
            return bad_request(f"The maximum number of inputs is {MOST_INPUTS}", headers)
        found = {record_id: self._links.as_results(self._kind, record_id) for record_id in _inputs(request)}
        results = [{"from": {"id": record_id}, "to": to} for record_id, to in found.items() if to]
        errors = [self._none(record_id) for record_id, to in found.items() if not to]
        moment = iso_ms(now_ms())
        body: dict[str, Any] = {"status": "COMPLETE", "results": results, "startedAt": moment, "completedAt": moment}
        if errors:
            body |= {"numErrors": len(errors), "errors": errors}
        return json_response(207 if errors else 200, body, *headers)

    def put(self, request: Request) -> Response:
        """PUT the default association."""
        return self._change(request, None)

    def label(self, request: Request) -> Response:
        """PUT an association with labels: the body lists their types."""
        listed = request.json
        types = listed if isinstance(listed, list) else []
        numbers = {item.get("associationTypeId") for item in types if isinstance(item, dict)}
        if not numbers or not all(isinstance(number, int) for number in numbers):
            return bad_request("Invalid input JSON: a list of association types is expected")
        return self._change(request, {number for number in numbers if isinstance(number, int)})

    def _change(self, request: Request, type_ids: set[int] | None) -> Response:
        refused = self._limits.refused(request)
        if refused:
            return refused
        headers, record_id = self._limits.headers(request), self._record(request)[0]
        if record_id not in self._records.records or request.tail not in self._companies.records:
            return not_found(headers)
        before = self._links.types(self._kind, record_id)
        if type_ids is None:
            self._links.put(self._kind, record_id, request.tail)
        else:
            self._links.label(self._kind, record_id, request.tail, type_ids)
        self._links.written(self._kind, record_id, before)
        ends = {"from": {"id": record_id}, "to": {"id": request.tail}}
        if type_ids is not None:
            body = {"fromObjectId": int(record_id), "fromObjectTypeId": _TYPE_IDS[self._kind],
                    "toObjectId": int(request.tail), "toObjectTypeId": _TYPE_IDS["company"], "labels": []}  # fmt: skip
            return json_response(201, body, *headers)
        moment, number = iso_ms(now_ms()), UNLABELLED[self._kind]
        spec = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": number}
        results = [{**ends, "associationSpec": spec}]
        body = {"status": "COMPLETE", "results": results, "startedAt": moment, "completedAt": moment}
        return json_response(200, body, *headers)

    def _none(self, record_id: str) -> dict[str, Any]:
        message = f"No company is associated with {self._kind} {record_id}."
        context = {
            "fromObjectId": [record_id],
            "fromObjectType": [_TYPE_IDS[self._kind]],
            "toObjectType": [_TYPE_IDS["company"]],
        }
        found = standard_error("OBJECT_NOT_FOUND", message, context, [])
        return found | {"subCategory": "crm.associations.NO_ASSOCIATIONS_FOUND"}

    def _record(self, request: Request) -> tuple[str, ...]:
        """The record's id: the segment before `associations`."""
        return (request.path.partition("/associations")[0].rpartition("/")[2],)


def _inputs(request: Request) -> tuple[str, ...]:
    inputs = request.json_object.get("inputs")
    if not isinstance(inputs, list):
        return ()
    return tuple(str(item.get("id", "")) for item in inputs if isinstance(item, dict))
