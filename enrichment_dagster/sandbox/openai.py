"""A language model behind the OpenAI chat completions call, which answers from what it is given and nothing else.

Shape and errors: OpenAI's API reference. The last user message holds a JSON object of known fields; the answer is JSON
with a summary and one citation per field used. A fault plan makes it cite a field it was not given
(`invented_citation_rate`) or chat instead of answering in JSON (`prose_rate`).
"""

from collections.abc import Callable
from json import JSONDecodeError, JSONDecoder
from time import time
from typing import Any

import orjson

from enrichment_dagster.sandbox.chance import hex_id
from enrichment_dagster.sandbox.config import SandboxConfig
from enrichment_dagster.sandbox.wire import Endpoint, Request, Response, bearer, json_response, retry_after

MOST_CITED = 6
_DECODER = JSONDecoder()
_INVENTED = {"field": "net_promoter_score", "quote": "71"}
_EMPTY: dict[str, Any] = {"string": "", "array": [], "object": {}, "number": 0, "integer": 0, "boolean": False}


class OpenAI:
    """Answers chat completions without any model."""

    def __init__(self, config: SandboxConfig) -> None:
        self._config = config

    def routes(self) -> dict[tuple[str, str], Endpoint]:
        """Method and path of each call."""
        endpoint = Endpoint(
            "openai.chat_completions",
            lambda request: self._complete(request, grounded),
            _subject,
            bearer,
            _error,
            _throttled,
            variants={
                "invented_citation": lambda request: self._complete(request, invented),
                "prose": lambda request: self._complete(request, prose),
            },
        )
        return {("POST", "/openai/v1/chat/completions"): endpoint}

    def _complete(self, request: Request, write: Callable[[dict[str, str], dict[str, Any]], str]) -> Response:
        """POST chat/completions."""
        if not self._config.accepts_key(bearer(request)):
            return _failure(401, "Incorrect API key provided.", "invalid_request_error", "invalid_api_key")
        body = request.json_object
        text = _last_user_text(body)
        if text is None or not body.get("model"):
            missing = "messages" if text is None else "model"
            return _failure(400, f"Missing required parameter: '{missing}'.", "invalid_request_error", None)
        content = write(_fields(text), _schema(body))
        prompt_tokens, completion_tokens = len(request.body) // 4, max(1, len(content) // 4)
        answer = {
            "id": f"chatcmpl-{hex_id(text)}",
            "object": "chat.completion",
            "created": int(time()),
            "model": body["model"],
            "choices": [
                {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"},
            ],
            "usage": {
                "prompt_tokens": prompt_tokens,
                "completion_tokens": completion_tokens,
                "total_tokens": prompt_tokens + completion_tokens,
            },
        }  # fmt: skip
        return json_response(200, answer, billed=_subject(request))


def grounded(fields: dict[str, str], schema: dict[str, Any]) -> str:
    """Summary and citations from the fields given, cut and filled to the properties of the schema, if there is one."""
    cited = list(fields.items())[:MOST_CITED]
    facts = "; ".join(f"{name.replace('_', ' ')}: {value}" for name, value in cited)
    answer: dict[str, Any] = {
        "summary": f"What is known: {facts}." if facts else "Nothing is known yet.",
        "citations": [{"field": name, "quote": value} for name, value in cited],
    }
    return orjson.dumps(_fitted(answer, schema)).decode()


def invented(fields: dict[str, str], schema: dict[str, Any]) -> str:
    """A grounded answer with one citation of a field that was never given."""
    answer = orjson.loads(grounded({name: text for name, text in fields.items() if name != _INVENTED["field"]}, {}))
    answer["summary"] += " Its net promoter score is 71."
    answer["citations"].append(_INVENTED)
    return orjson.dumps(_fitted(answer, schema)).decode()


def prose(fields: dict[str, str], _schema: dict[str, Any]) -> str:
    """A friendly text in place of JSON."""
    return f"Sure! Here is a short summary. It rests on {len(fields)} fields. Let me know if you need anything else."


def _fitted(answer: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return answer
    kinds = {name: entry.get("type") if isinstance(entry, dict) else None for name, entry in properties.items()}
    return {name: answer.get(name, _EMPTY.get(str(kind))) for name, kind in kinds.items()}


def _schema(body: dict[str, Any]) -> dict[str, Any]:
    """The schema of a `response_format` of type json_schema; empty without one."""
    wanted: Any = body.get("response_format")
    for name in ("json_schema", "schema"):
        wanted = wanted.get(name) if isinstance(wanted, dict) else None
    return wanted if isinstance(wanted, dict) else {}


def _last_user_text(body: dict[str, Any]) -> str | None:
    """The text of the last user message, which is a string or a list of parts."""
    messages = body.get("messages")
    for message in reversed(messages if isinstance(messages, list) else []):
        if isinstance(message, dict) and message.get("role") == "user":
            content = message.get("content")
            if isinstance(content, list):
                return " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
            return str(content or "")
    return None


def _fields(text: str) -> dict[str, str]:
    """The known fields in a message: the first JSON object in it, or what stands under its key `fields`."""
    start = text.find("{")
    try:
        given = _DECODER.raw_decode(text, start)[0] if start >= 0 else {}
    except JSONDecodeError:
        return {}
    given = given["fields"] if isinstance(given.get("fields"), dict) else given
    quotes = {name: _quote(value) for name, value in given.items()}
    return {name: quote for name, quote in quotes.items() if quote}


def _quote(value: Any) -> str:
    """A value as it can be quoted: the first of several, the `value` of an object, numbers as JSON writes them."""
    if isinstance(value, list):
        return _quote(value[0]) if value else ""
    if isinstance(value, dict):
        return _quote(value.get("value"))
    if value is None or isinstance(value, str):
        return value or ""
    return orjson.dumps(value).decode()


def _subject(request: Request) -> tuple[str, ...]:
    """A digest: what is told to a model is nobody else's business."""
    return (hex_id(_last_user_text(request.json_object)),)


def _failure(status: int, message: str, kind: str, code: str | None) -> Response:
    return json_response(status, {"error": {"message": message, "type": kind, "param": None, "code": code}})


def _error(status: int) -> Response:
    return _failure(status, "The server had an error while processing your request.", "server_error", None)


def _throttled(_name: str, seconds: float) -> Response:
    body = {
        "message": "Rate limit reached for requests",
        "type": "requests",
        "param": None,
        "code": "rate_limit_exceeded",
    }
    return json_response(429, {"error": body}, retry_after(seconds))
