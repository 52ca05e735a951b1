"""The language model: answers from the fields given, in the shape of OpenAI's chat completions."""

import json

import pytest
from sandbox_skeleton import assert_shape

CHAT = "/openai/v1/chat/completions"
FIELDS = {"job_title": "VP Operations", "company": "Northwind Parts", "employees": 640, "tools": ["HubSpot", "Slack"]}
# OpenAI's API reference.
COMPLETION = {
    "id": "chatcmpl-1", "object": "chat.completion", "created": 1790000000, "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "{}"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}  # fmt: skip
ERROR = {"error": {"message": "x", "type": "invalid_request_error", "param": None, "code": "invalid_api_key"}}


def request(content, **more):
    messages = [{"role": "system", "content": "Summarise."}, {"role": "user", "content": content}]
    return {"model": "m-1", "messages": messages, **more}


async def answer(client, content, **more):
    status, body, _ = await client.call("POST", CHAT, json=request(content, **more))
    assert status == 200, body
    return body["choices"][0]["message"]["content"]


async def test_a_completion_has_the_documented_shape(client):
    status, body, _ = await client.call("POST", CHAT, json=request(json.dumps(FIELDS)))
    assert (status, body["model"]) == (200, "m-1")
    assert_shape(COMPLETION, body)
    assert body["usage"]["total_tokens"] == body["usage"]["prompt_tokens"] + body["usage"]["completion_tokens"]
    assert (await client.counters())["billed"] == {"openai.chat_completions": 1}


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(FIELDS),
        "Known fields:\n" + json.dumps(FIELDS) + "\nAnswer in JSON.",
        json.dumps({"fields": FIELDS, "rules": "cite"}),
        json.dumps({name: {"value": value, "provider": "apollo"} for name, value in FIELDS.items()}),
        json.dumps(FIELDS) + ' Answer like {"summary": "..."}',
        [{"type": "text", "text": json.dumps(FIELDS)}],
    ],
)
async def test_every_citation_quotes_a_field_that_was_given(client, content):
    told = json.loads(await answer(client, content))
    assert set(told) == {"summary", "citations"}
    assert told["citations"] == [
        {"field": "job_title", "quote": "VP Operations"},
        {"field": "company", "quote": "Northwind Parts"},
        {"field": "employees", "quote": "640"},
        {"field": "tools", "quote": "HubSpot"},
    ]
    assert all(citation["quote"] in told["summary"] for citation in told["citations"])


async def test_the_same_question_gets_the_same_answer(client):
    assert await answer(client, json.dumps(FIELDS)) == await answer(client, json.dumps(FIELDS))


async def test_empty_fields_are_not_cited(client):
    told = json.loads(await answer(client, json.dumps({"city": None, "tools": [], "country": "", "title": "CEO"})))
    assert [citation["field"] for citation in told["citations"]] == ["title"]
    for nothing in ("{}", "no object", "{broken"):
        assert json.loads(await answer(client, nothing))["citations"] == []


async def test_a_schema_decides_which_keys_the_answer_has(client):
    properties = {"summary": {"type": "string"}, "confidence": {"type": "number"}}
    schema = {"name": "s", "strict": True, "schema": {"type": "object", "properties": properties}}
    told = json.loads(
        await answer(client, json.dumps(FIELDS), response_format={"type": "json_schema", "json_schema": schema})
    )
    assert set(told) == {"summary", "confidence"}
    assert told["confidence"] == 0


async def test_a_model_may_cite_what_it_was_not_given(client, set_faults):
    set_faults("openai.*", invented_citation_rate=1)
    cited = {item["field"] for item in json.loads(await answer(client, json.dumps(FIELDS)))["citations"]}
    assert len(cited - set(FIELDS)) == 1
    assert (await client.counters())["billed_total"] == 1


async def test_a_model_may_chat_in_place_of_json(client, set_faults):
    set_faults("openai.chat_completions", prose_rate=1)
    with pytest.raises(json.JSONDecodeError):
        json.loads(await answer(client, json.dumps(FIELDS)))


@pytest.mark.parametrize(
    ("body", "key", "status"),
    [
        (request("{}"), "foreign", 401),
        ({"model": "m"}, "sandbox-key", 400),
        ({"messages": [{"role": "user", "content": "{}"}]}, "sandbox-key", 400),
    ],
)
async def test_refusals_have_the_shape_of_errors(client, body, key, status):
    found, answered, _ = await client.call("POST", CHAT, json=body, headers={"authorization": f"Bearer {key}"})
    assert found == status
    assert_shape(ERROR, answered)


async def test_the_counters_do_not_show_what_a_model_was_told(client):
    await answer(client, json.dumps({"email": "dana.reyes@northwind-parts.com"}))
    assert "dana" not in json.dumps(await client.counters())
