"""One sandbox for all tests of this folder, emptied before each of them."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from enrichment_dagster.sandbox import RunningSandbox, SandboxConfig, parse_plan, running_sandbox

SAMPLES = Path(__file__).parents[2] / "data" / "samples"
NO_LATENCY = {"endpoints": {"*": {"latency": 0}}}


@pytest.fixture
def sample() -> Callable[[str], Any]:
    """A recorded or documented payload by file name, without the ending."""
    return lambda name: json.loads((SAMPLES / f"{name}.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def shared_sandbox() -> Iterator[RunningSandbox]:
    with running_sandbox(SandboxConfig(faults=parse_plan(NO_LATENCY), searches_per_second=1_000)) as running:
        yield running


@pytest.fixture
def sandbox(shared_sandbox: RunningSandbox) -> RunningSandbox:
    state = shared_sandbox.state
    state.plan = parse_plan(NO_LATENCY)
    state.counters.reset()
    state.clear_crm()
    return shared_sandbox


@pytest.fixture
def set_faults(sandbox: RunningSandbox) -> Callable[..., None]:
    """Replace the fault plan: set_faults("apollo.*", error_rate=1)."""

    def replace(pattern: str, **settings: Any) -> None:
        sandbox.state.plan = parse_plan({"seed": 7, "endpoints": {"*": {"latency": 0}, pattern: settings}})

    return replace


class Client:
    """Calls the emulators with the right credentials."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session, self.url = session, url
        self.token = ""

    async def call(self, method: str, path: str, **more: Any) -> tuple[int, Any, Any]:
        """Status, decoded body (text when it is no JSON), headers."""
        headers = {"authorization": "Bearer sandbox-key", "x-api-key": "sandbox-key"} | more.pop("headers", {})
        async with self.session.request(method, self.url + path, headers=headers, **more) as answer:
            text = await answer.text()
            try:
                return answer.status, json.loads(text), answer.headers
            except json.JSONDecodeError:
                return answer.status, text, answer.headers

    async def login(self) -> dict[str, Any]:
        form = {
            "grant_type": "client_credentials",
            "client_id": "sandbox-client",
            "client_secret": "sandbox-secret",
        }
        _, body, _ = await self.call("POST", "/salesforce/services/oauth2/token", data=form)
        self.token = body["access_token"]
        return body

    async def salesforce(self, method: str, path: str, **more: Any) -> tuple[int, Any, Any]:
        if not self.token:
            await self.login()
        headers = {"authorization": f"Bearer {self.token}"}
        return await self.call(method, f"/salesforce/services/data/v62.0/{path}", headers=headers, **more)

    async def soql(self, query: str) -> tuple[int, Any, Any]:
        return await self.salesforce("GET", "query", params={"q": query})

    async def create(self, kind: str, **body: Any) -> dict[str, Any]:
        status, made, _ = await self.call("POST", f"/_sandbox/{kind}", json=body)
        assert status == 200, made
        return made

    async def counters(self) -> dict[str, Any]:
        return (await self.call("GET", "/_sandbox/counters"))[1]

    async def counted(self, name: str, expected: Any) -> None:
        """Wait for a counter: the receiver has a callback a moment before the sandbox has counted it."""
        async with asyncio.timeout(10):
            while (await self.counters())[name] != expected:  # noqa: ASYNC110 - the server counts in its own thread
                await asyncio.sleep(0.02)

    async def writes(self) -> list[dict[str, Any]]:
        return (await self.call("GET", "/_sandbox/crm/writes"))[1]["writes"]


@pytest.fixture
async def client(sandbox: RunningSandbox) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession() as session:
        yield Client(session, sandbox.url)


class Receiver:
    """What a vendor calls back: keeps the headers and JSON of each POST, and answers with `status`."""

    def __init__(self) -> None:
        self.url = ""
        self.status = 200
        self.body = b""
        self._calls: asyncio.Queue[tuple[Mapping[str, str], Any]] = asyncio.Queue()

    async def receive(self, request: web.Request) -> web.Response:
        self.body = await request.read()
        await self._calls.put((request.headers, await request.json()))
        return web.Response(status=self.status)

    async def next(self) -> tuple[Mapping[str, str], Any]:
        return await asyncio.wait_for(self._calls.get(), 5)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiving = Receiver()
    app = web.Application()
    app.router.add_post("/hook", receiving.receive)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiving.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield receiving
    await runner.cleanup()


@pytest.fixture(scope="session")
def quick_sandbox() -> Iterator[RunningSandbox]:
    """A small sandbox that calls back soon, and once more."""
    config = SandboxConfig(
        people=400, companies=40, callback_delay_seconds=0.01, callback_repeats=1, clay_lifetime=3,
        faults=parse_plan(NO_LATENCY),
    )  # fmt: skip
    with running_sandbox(config) as running:
        yield running


@pytest.fixture
async def quick_client(quick_sandbox: RunningSandbox) -> AsyncIterator[Client]:
    quick_sandbox.state.counters.reset()
    async with aiohttp.ClientSession() as session:
        yield Client(session, quick_sandbox.url)
