"""Alive, ready and index; housekeeping tasks beside the requests."""

import asyncio
from dataclasses import replace

from sqlalchemy import insert
from support.intake import asgi_call

from enrichment_dagster.gateway.app import create_app
from enrichment_dagster.gateway.background import BackgroundTasks
from enrichment_dagster.gateway.checks import journal_check, ops_check
from enrichment_dagster.gateway.deps import Health
from enrichment_dagster.store.database import to_ms
from enrichment_dagster.store.migrate import open_ops_database
from enrichment_dagster.store.tables import beats


async def get(app, path):
    status, _, content = await asgi_call(app, path, b"", {}, "GET")
    return status, content


async def test_the_index_names_the_webhooks(app):
    status, content = await get(app, "/")
    assert status == 200
    assert content["webhooks"] == {"hubspot": "/webhooks/hubspot", "salesforce_flow": "/webhooks/salesforce/flow"}


async def test_alive(app):
    assert await get(app, "/healthz") == (200, {"alive": True})


async def test_ready(app):
    status, content = await get(app, "/readyz")
    assert (status, content["ready"], content["reasons"]) == (200, True, [])
    assert content["checks"]["senders"]["detail"] == "hubspot, salesforce_flow"


async def test_not_ready_says_why_all_at_once(deps):
    async def broken():
        raise OSError("/secret/path")

    async def hanging():
        await asyncio.Event().wait()
        raise AssertionError

    async def bad():
        return Health(False, "no space")

    checks = {"journal": broken, "ops": hanging, "disk": bad}
    app = create_app(replace(deps, senders=[], checks=checks, limits=replace(deps.limits, check_seconds=0.01)))
    status, content = await get(app, "/readyz")
    assert (status, content["ready"]) == (503, False)
    assert content["reasons"] == [
        "senders: none is configured, see intake in enrichment.yaml",
        "journal: OSError",
        "ops: no answer within 0.01 s",
        "disk: no space",
    ]
    assert (await get(app, "/healthz"))[0] == 200, "alive all the same"


async def test_the_stores_are_checked_and_the_last_tick_is_told(sql_journal, settings, clock):
    ops = open_ops_database(settings)
    try:
        assert await journal_check(sql_journal)() == Health(True, "position 0")
        check = ops_check(ops, clock)
        assert await check() == Health(True, "no sensor has ticked yet")
        with ops.write() as connection:
            connection.execute(insert(beats).values(name="tick:lead_created", at_ms=to_ms(clock.now()), detail={}))
        clock.move(7)
        assert await check() == Health(True, "last sensor tick 7 s ago")
    finally:
        ops.dispose()


async def test_background_tasks_start_and_end_with_the_server():
    seen = []

    async def hook():
        seen.append("started")
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("ended")

    tasks = BackgroundTasks([hook, hook])
    async with tasks.running():
        await asyncio.sleep(0)
        assert seen == ["started", "started"]
        assert (await tasks.health()).ok
    assert seen == ["started", "started", "ended", "ended"]


async def test_a_background_task_that_dies_makes_the_gateway_unready(captured_logs):
    died = asyncio.Event()

    async def pump():
        died.set()
        raise RuntimeError("x")

    tasks = BackgroundTasks([pump])
    async with tasks.running():
        await died.wait()
        await asyncio.sleep(0)
        health = await tasks.health()
    assert not health.ok
    assert "pump" in health.detail
    assert captured_logs[-1]["event"] == "background task died"
