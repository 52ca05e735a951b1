"""The ASGI application. Webhooks are plain Starlette routes: their bodies stay raw, FastAPI would add nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from fastapi import FastAPI

from enrichment_dagster.gateway.answers import install_error_answers
from enrichment_dagster.gateway.api.routes import add_api_routes
from enrichment_dagster.gateway.background import BackgroundTasks
from enrichment_dagster.gateway.callbacks import CALLBACK_PATH, Callbacks
from enrichment_dagster.gateway.deps import GatewayDeps
from enrichment_dagster.gateway.status import Status
from enrichment_dagster.gateway.webhook import Webhook


def create_app(deps: GatewayDeps) -> FastAPI:
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
    app = FastAPI(
        title="enrichment-dagster gateway", lifespan=lifespan, docs_url=None, redoc_url=None, redirect_slashes=False
    )
    install_error_answers(app)
    status = Status(deps)
    app.add_api_route("/", status.index, summary="What is served here")
    app.add_api_route("/healthz", status.healthz, summary="Is the process alive")
    app.add_api_route("/readyz", status.readyz, summary="Can events be taken")
    for sender in deps.senders:
        app.add_route(sender.path, Webhook(sender, deps).handle, methods=["POST"], name=sender.name)
    if deps.late is not None:
        app.add_route(CALLBACK_PATH, Callbacks(deps.late, deps).handle, methods=["POST"], name="callbacks")
    enrich = None if deps.enrich is None else add_api_routes(app, deps.enrich, deps)
    return app
