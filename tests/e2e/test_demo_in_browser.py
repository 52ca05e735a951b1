"""What a newcomer sees: leads are enriched, and Dagster's pages show how. Takes the pictures of the documentation.

``ENRICHMENT_TEST_UPDATE_SCREENSHOTS=1`` writes the pictures to ``docs/images``.
"""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright
from support.demo import LEADS, ROOT, Demo
from support.parts import require

from assets.lanes import LANES

pytestmark = [pytest.mark.stack, pytest.mark.browser]

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
CHECKS = ("field_coverage", "latency_target", "schema_violations")
UPDATE_VARIABLE = "ENRICHMENT_TEST_UPDATE_SCREENSHOTS"
MOST_BYTES = 300_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    require(CHROMIUM.exists(), f"{CHROMIUM} is missing")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, demo: Demo) -> Iterator[Page]:
    demo.wait_for_ended(LEADS)
    demo.wait_for(lambda: newest_run(demo)["status"] == "SUCCESS", "the success of the newest run", 30)
    context = browser.new_context(viewport={"width": 1440, "height": 860}, timezone_id="UTC", locale="en-GB")
    page = context.new_page()
    page.set_default_timeout(20_000)
    expect.set_options(timeout=20_000)
    yield page
    context.close()


def ask_dagster(demo: Demo, query: str) -> Any:
    request = urllib.request.Request(
        f"{demo.url('webserver')}/graphql", json.dumps({"query": query}).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)["data"]


def newest_run(demo: Demo) -> dict[str, str]:
    found = ask_dagster(
        demo, '{ runsOrError(filter: {pipelineName: "lead_enrichment_job"}, limit: 1) '
        "{ ... on Runs { results { runId status } } } }"
    )  # fmt: skip
    return found["runsOrError"]["results"][0]


def in_graph(page: Page, asset: str) -> Locator:
    return page.locator("svg").get_by_text(asset, exact=True).first


def zoom_out(page: Page) -> None:
    """Make the whole graph fit: all six lanes side by side are higher than the page."""
    page.mouse.move(990, 553)  # the middle of the graph stays where it is
    page.keyboard.down("Control")
    for _ in range(3):
        page.mouse.wheel(0, 100)
        page.wait_for_timeout(300)
    page.keyboard.up("Control")
    page.mouse.move(700, 950)  # no node is under it, which would be shown as chosen


def take(page: Page, tmp_path: Path, name: str) -> None:
    """Take a picture once nothing moves any more."""
    page.wait_for_timeout(500)
    picture = tmp_path / f"{name}.png"
    page.screenshot(path=picture, animations="disabled")
    assert 10_000 < picture.stat().st_size < MOST_BYTES
    if os.environ.get(UPDATE_VARIABLE) == "1":
        (ROOT / "docs" / "images" / picture.name).write_bytes(picture.read_bytes())


def test_every_lead_ends_and_says_where_its_fields_came_from(demo: Demo) -> None:
    demo.wait_for_ended(LEADS)
    assert {lead["status"] for lead in demo.sent} == {200}
    assert {event["outcome"] for event in demo.ended} <= {"enriched", "partial", "skipped"}
    its_own = {lead["record_id"] for lead in demo.sent}  # readers of the documents send leads as well
    ended = [event for event in demo.ended if event["record"].rpartition(":")[2] in its_own]
    enriched = [event for event in ended if event["outcome"] == "enriched"]
    assert enriched
    assert all(event["fields_by_provider"].keys() & {"apollo", "clearbit"} for event in enriched)
    assert all(event["total_ms"] < 60_000 for event in ended)


def test_the_lineage(demo: Demo, page: Page, tmp_path: Path) -> None:
    """The asset graph begins at the inbox; it leads through each lane to the CRM and the tables."""
    page.set_viewport_size({"width": 1440, "height": 1000})
    page.goto(f"{demo.url('webserver')}/asset-groups")
    page.get_by_text("Materialize all").wait_for()
    page.keyboard.press("Alt+e")  # open all groups
    expect(in_graph(page, "lead_enrichment")).to_be_attached()
    page.reload()  # they stay open
    expect(in_graph(page, "lead_enrichment")).to_be_in_viewport()
    zoom_out(page)
    for name in ("crm_events", "lead_routing", "lead_enrichment", "crm_writeback", "contacts", "companies"):
        expect(in_graph(page, name)).to_be_in_viewport(ratio=1)
    take(page, tmp_path, "lineage")
    nodes = ask_dagster(demo, "{ assetNodes { assetKey { path } dependencyKeys { path } } }")["assetNodes"]
    before = {node["assetKey"]["path"][0]: {key["path"][0] for key in node["dependencyKeys"]} for node in nodes}
    for lane in LANES:
        assert before[lane.asset] == {"crm_events"}
        assert all(lane.asset in before[name] for name in ("crm_writeback", "contacts", "companies"))


def test_the_newest_run(demo: Demo, page: Page, tmp_path: Path) -> None:
    """The run says who started it, for which day, and that it succeeded."""
    page.goto(f"{demo.url('webserver')}/runs/{newest_run(demo)['runId']}")
    expect(page.get_by_text("Success", exact=True).first).to_be_visible()
    expect(page.get_by_text("new_lead").first).to_be_visible()
    for step in ("lead_enrichment", "crm_writeback", "project_records"):
        expect(page.get_by_text(step, exact=True).first).to_be_attached()
    take(page, tmp_path, "run")


@pytest.mark.patient
def test_the_checks_have_results(demo: Demo, page: Page, tmp_path: Path) -> None:
    """The gateway tells what each check found, runs take it over: the page shows three verdicts, however busy it is."""
    page.goto(f"{demo.url('webserver')}/assets/lead_enrichment?view=checks")
    expect(page.get_by_text("Checks (3)")).to_be_visible()
    for name in CHECKS:
        expect(page.get_by_text(name, exact=True).first).to_be_visible()
    # The gateway looks every 20 s, runs take over what it found; after the last one it tells the results within 80 s.
    page.reload()
    expect(page.get_by_text("Succeeded", exact=True)).to_have_count(len(CHECKS), timeout=100_000)
    page.get_by_text("latency_target", exact=True).first.click()
    expect(page.get_by_text("Evaluation result")).to_be_visible()
    take(page, tmp_path, "checks")
