"""What the emulators see of HTTP: a request with lazily parsed parts, a response of ready bytes, a route.

Deliberately small: the sandbox shares two cores with the product it is measured against.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from time import time
from typing import Any
from urllib.parse import parse_qsl
from uuid import uuid4

import orjson

from enrichment_dagster.sandbox.windows import Allowance

Header = tuple[bytes, bytes]

JSON_TYPE: Header = (b"content-type", b"application/json; charset=utf-8")
TEXT_TYPE: Header = (b"content-type", b"text/plain; charset=utf-8")


class Request:
    """One received request; query and JSON body are parsed when first asked for."""

    __slots__ = ("_json", "_query", "allowance", "body", "headers", "method", "path", "query_string", "tail")

    def __init__(self, method: str, path: str, query_string: bytes, headers: Iterable[Header], body: bytes) -> None:
        self.method = method
        self.path = path
        self.query_string = query_string
        self.headers = headers
        self.body = body
        self.tail = ""
        self.allowance: Allowance | None = None  # set where a fault plan limits the rate
        self._query: dict[str, str] | None = None
        self._json: Any = _UNPARSED

    def header(self, name: bytes) -> str:
        """The value of a header (name in lower case), or the empty string."""
        for key, value in self.headers:
            if key == name:
                return value.decode("latin-1")
        return ""

    @property
    def query(self) -> dict[str, str]:
        """The query parameters; of a repeated one the last counts."""
        if self._query is None:
            self._query = dict(parse_qsl(self.query_string.decode("latin-1"), keep_blank_values=True))
        return self._query

    def query_list(self, *names: str) -> list[str]:
        """All values of a repeated query parameter, under any of its names, without empty ones."""
        pairs = parse_qsl(self.query_string.decode("latin-1"))
        return [value for name, value in pairs if name in names]

    @property
    def form(self) -> dict[str, str]:
        """The fields of a form-encoded body."""
        return dict(parse_qsl(self.body.decode("latin-1"), keep_blank_values=True))

    @property
    def json(self) -> Any:
        """The decoded JSON body; None when there is none or it cannot be read."""
        if self._json is _UNPARSED:
            try:
                self._json = orjson.loads(self.body) if self.body else None
            except orjson.JSONDecodeError:
                self._json = None
        return self._json

    @property
    def json_object(self) -> dict[str, Any]:
        """The decoded JSON body if it is an object, else an empty one."""
        value = self.json
        return value if isinstance(value, dict) else {}


_UNPARSED: Any = object()


@dataclass(slots=True)
class Response:
    """A ready answer. `billed` names the subjects the vendor would charge for."""

    status: int
    body: bytes = b""
    headers: tuple[Header, ...] = (JSON_TYPE,)
    billed: tuple[str, ...] = ()


Handler = Callable[[Request], Response]
Subjects = Callable[[Request], tuple[str, ...]]


def no_subject(_: Request) -> tuple[str, ...]:
    """For calls that concern nobody in particular."""
    return ()


def no_key(_: Request) -> str:
    """For calls without an API key."""
    return ""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One call of one vendor: its name in fault plans and counters, and how to read and answer it.

    `pending` is the answer of a vendor that is not done yet; `variants` answer in place of `handle` where a plan
    wants one of these kinds.
    """

    name: str
    handle: Handler
    subjects: Subjects = no_subject
    key: Callable[[Request], str] = no_key
    error: Callable[[int], Response] = field(default=lambda status: json_response(status, {"error": "sandbox fault"}))
    throttled: Callable[[str, float], Response] = field(default=lambda _name, _after: json_response(429, {}))
    locked: Callable[[Request], Response] | None = None
    pending: Callable[[], Response] | None = None
    variants: Mapping[str, Handler] = field(default_factory=dict)


def json_response(status: int, value: Any, *headers: Header, billed: tuple[str, ...] = ()) -> Response:
    """An answer with a JSON body."""
    return Response(status, orjson.dumps(value), (JSON_TYPE, *headers), billed)


def text_response(status: int, text: str) -> Response:
    """An answer with a plain text body."""
    return Response(status, text.encode(), (TEXT_TYPE,))


def retry_after(seconds: float) -> Header:
    """The Retry-After header, in whole seconds as RFC 9110 wants it."""
    return (b"retry-after", str(max(0, round(seconds))).encode())


def bearer(request: Request) -> str:
    """The token of an `Authorization: Bearer` header, or the empty string."""
    scheme, _, token = request.header(b"authorization").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def key_of(request: Request) -> str:
    """The key in the header `x-api-key`, as most vendors want it."""
    return request.header(b"x-api-key")


def now_ms() -> int:
    """Milliseconds since the epoch, as the vendors count."""
    return int(time() * 1000)


def new_uuid() -> str:
    """A correlation id."""
    return str(uuid4())
