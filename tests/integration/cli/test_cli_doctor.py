from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.story import SECRETS, Installation, call, environment

from enrichment_dagster.cli.doctor import machine
from enrichment_dagster.cli.doctor.finding import ok
from enrichment_dagster.composition import open_projector
from enrichment_dagster.store.migrate import OPS

GROUPS = {
    "python",
    "packages",
    "duckdb extensions",
    "byte code",
    "port 8080",
    "port 3000",
    "port 4000",
    "configuration",
    "secrets",
    "providers",
    "plans",
    "lanes",
    "crm mapping",
    "addresses",
    "senders",
    "home",
    "disk",
    "journal store",
    "ops store",
    "warehouse",
}


@pytest.fixture(autouse=True)
def _ports_are_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever runs on the machine of the tests."""
    monkeypatch.setattr(machine, "check_port", lambda name, port: ok(f"port {port}", f"free for the {name}"))


async def test_a_good_installation(installation: Installation) -> None:
    await installation.enrich(await installation.receive())
    open_projector(installation.settings, installation.stores).project()
    result = call(environment(installation.home), "doctor", "--json")
    report = json.loads(result.stdout)
    assert result.exit_code == 0, result.output
    assert report["healthy"] is True
    assert {check["check"] for check in report["checks"]} == GROUPS
    assert list(report["checks"][0]) == ["check", "level", "found", "todo"]
    assert {check["found"] for check in report["checks"] if check["check"] == "ops store"} == {f"schema {OPS.head}"}


def test_each_line_that_is_not_ok_says_what_to_do(tmp_path: Path) -> None:
    result = call(environment(tmp_path, APOLLO_API_KEY=""), "doctor", "--json")
    report = json.loads(result.stdout)
    assert (result.exit_code, report["healthy"]) == (1, False)
    assert all(check["todo"] for check in report["checks"] if check["level"] != "ok")
    assert all(not check["todo"] for check in report["checks"] if check["level"] == "ok")


def test_lines_for_people(tmp_path: Path) -> None:
    result = call(environment(tmp_path, APOLLO_API_KEY=""), "doctor")
    assert result.exit_code == 1
    assert "fail secrets: 1 missing\n      -> set the environment variable APOLLO_API_KEY" in result.stdout
    assert "1 fail" in result.stdout


def test_a_configuration_that_can_not_be_read_does_not_stop_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("version: 2\nunknown: 1\n")
    result = call(environment(tmp_path, ENRICHMENT_CONFIG=str(path)), "doctor", "--json")
    checks = json.loads(result.stdout)["checks"]
    assert result.exit_code == 1
    assert {"python", "packages", "port 8080"} <= {check["check"] for check in checks}
    assert len([check for check in checks if check["check"] == "configuration"]) > 3


def test_no_secret_is_shown(tmp_path: Path) -> None:
    output = call(environment(tmp_path), "doctor").output
    assert not [secret for secret in SECRETS.values() if secret in output]


def test_online_connects_to_each_enabled_provider_and_crm(tmp_path: Path) -> None:
    names = ("APOLLO", "CLEARBIT", "ZEROBOUNCE", "HUBSPOT", "SALESFORCE")
    closed = {f"{name}_BASE_URL": "http://127.0.0.1:1" for name in names}
    report = json.loads(call(environment(tmp_path, **closed), "doctor", "--online", "--json").stdout)
    online = {check["check"]: check["level"] for check in report["checks"] if check["check"].startswith("online")}
    assert online == {f"online {name.lower()}": "fail" for name in names}


def test_a_catalog_in_postgres_is_looked_at(tmp_path: Path) -> None:
    """Not taken for a file that will come."""
    elsewhere = environment(tmp_path, ENRICHMENT_CATALOG_URL="postgresql://127.0.0.1:1/none")
    report = json.loads(call(elsewhere, "doctor", "--json").stdout)
    (found,) = [check for check in report["checks"] if check["check"] == "warehouse"]
    assert (found["level"], "Postgres catalog" in found["found"]) == ("fail", True)
