"""The ASGI application. Bodies stay raw, so FastAPI adds nothing to requests but what it tells of them.

What others post is handed straight to its handler: FastAPI's and Starlette's ways to a route take ten times as long as
the rest of the frame of a request.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from enrichment_dagster.gateway.answers import install_error_answers, internal_error
from enrichment_dagster.gateway.api.enrich import EnrichApi
from enrichment_dagster.gateway.api.routes import ENRICH_PATH, add_api_routes
from enrichment_dagster.gateway.background import BackgroundTasks
from enrichment_dagster.gateway.callbacks import CALLBACK_PATH, Callbacks
from enrichment_dagster.gateway.deps import GatewayDeps
from enrichment_dagster.gateway.status import Status
from enrichment_dagster.gateway.webhook import Webhook

Handle = Callable[[Request], Awaitable[Response]]


class Gateway(FastAPI):
    """FastAPI, with a shorter way for POST requests to fixed paths; other methods find the routes of these paths."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._posts: dict[str, Handle] = {}

    def post_to(self, path: str, handle: Handle, name: str) -> None:
        """Add a handler."""
        self.add_route(path, handle, methods=["POST"], name=name, include_in_schema=False)
        self._posts[path] = handle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        handle = self._posts.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if handle is None:
            await super().__call__(scope, receive, send)
            return
        try:
            response = await handle(Request(scope, receive))
        except Exception:
            await internal_error()(scope, receive, send)
            raise  # for the server's log
        await response(scope, receive, send)


def create_app(deps: GatewayDeps) -> Gateway:
    """Return the application for these senders and this journal."""
    background = BackgroundTasks(deps.background)
    deps = replace(deps, checks={**deps.checks, "background": background.health})

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with background.running():
            yield
            if enrich is not None:
                await enrich.drain()

    # No slash is added or dropped by redirect: senders sign the URL that they call.
    app = Gateway(
        title="enrichment-dagster gateway", lifespan=lifespan, docs_url=None, redoc_url=None, redirect_slashes=False
    )
    install_error_answers(app)
    status = Status(deps)
    app.add_api_route("/", status.index, summary="What is served here")
    app.add_api_route("/healthz", status.healthz, summary="Is the process alive")
    app.add_api_route("/readyz", status.readyz, summary="Can events be taken")
    for sender in deps.senders:
        webhook = Webhook(sender, deps)
        app.post_to(sender.path, webhook.handle, sender.name)
        if others := [method for method in webhook.methods if method != "POST"]:
            app.add_route(sender.path, webhook.handle, methods=others, name=f"{sender.name}_greeting")
    if deps.late is not None:
        app.add_route(CALLBACK_PATH, Callbacks(deps.late, deps).handle, methods=["POST"], name="callbacks")
    enrich = None
    if deps.enrich is not None:
        enrich = EnrichApi(deps.enrich, deps)
        app.post_to(ENRICH_PATH, enrich.handle, "enrich")
        add_api_routes(app, enrich, deps.enrich, deps)
    return app
