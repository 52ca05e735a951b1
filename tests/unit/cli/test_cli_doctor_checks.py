"""Each check of the doctor, on its good and its bad day."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import text
from support.empty_stores import put_empty_stores
from support.story import environment

from enrichment_dagster.cli.doctor import configuration, installation, machine, stores
from enrichment_dagster.cli.doctor.finding import Finding, Level
from enrichment_dagster.cli.doctor.online import check_reachable
from enrichment_dagster.settings import Settings, load_settings
from enrichment_dagster.store.migrate import JOURNAL, OPS, open_ops_database


def levels(findings: Iterable[Finding]) -> set[Level]:
    return {finding.level for finding in findings}


def changed(tmp_path: Path, *replacements: tuple[str, str], **env: str) -> Settings:
    content = Path(environment(tmp_path)["ENRICHMENT_CONFIG"]).read_text()
    for old, new in replacements:
        assert old in content
        content = content.replace(old, new)
    path = tmp_path / "changed.yaml"
    path.write_text(content)
    return load_settings(environment(tmp_path / "home", ENRICHMENT_CONFIG=str(path), **env))


# --- installation ----------------------------------------------------------------------------------------------------


def test_an_old_python_fails() -> None:
    assert installation.check_python((3, 10)).level is Level.FAIL
    assert installation.check_python(sys.version_info[:2]).level is Level.OK


def test_the_installed_packages_are_those_that_this_release_asks_for() -> None:
    assert levels(installation.check_packages()) == {Level.OK}


def test_another_version_of_a_package_fails_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    real = metadata.version
    monkeypatch.setattr(installation, "version", lambda name: "1.0.0" if name == "duckdb" else real(name))
    (finding,) = installation.check_packages()
    assert (finding.level, finding.todo) == (Level.FAIL, 'pip install "duckdb==1.5.5"')


def test_a_package_that_is_not_there_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    real = metadata.version

    def version(name: str) -> str:
        if name == "duckdb-cli":
            raise metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(installation, "version", version)
    (finding,) = installation.check_packages()
    assert finding.found == "duckdb-cli is not installed"


def test_duckdb_loads_its_extensions() -> None:
    assert installation.check_extensions().level is Level.OK


@pytest.mark.parametrize(("off", "level"), [(True, Level.WARN), (False, Level.OK)])
def test_missing_byte_code_is_a_warning(off: bool, level: Level, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", off)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    finding = installation.check_byte_code()
    assert finding.level is level
    assert ("PYTHONDONTWRITEBYTECODE" in finding.todo) is off


# --- configuration ---------------------------------------------------------------------------------------------------


def test_the_example_is_right_but_for_its_addresses(tmp_path: Path) -> None:
    findings = list(configuration.check_configuration(changed(tmp_path)))
    assert Level.FAIL not in levels(findings)
    told = {finding.check for finding in findings if finding.level is not Level.OK}
    assert told <= {"addresses", "crm mapping", "lanes", "plans", "senders"}
    (waiting,) = [f for f in findings if f.check == "senders" and f.level is Level.HINT]
    assert "sendgrid (SENDGRID_PUBLIC_KEY)" in waiting.found
    assert "hubspot" not in waiting.found.replace("hubspot_custom_code", "")


def test_own_addresses_are_fine(tmp_path: Path) -> None:
    env = {"ENRICHMENT_PUBLIC_URL": "https://we.example.org", "SALESFORCE_BASE_URL": "https://us.my.salesforce.com"}
    assert levels(configuration.check_addresses(changed(tmp_path, **env))) == {Level.OK}


def test_every_missing_secret_is_named(tmp_path: Path) -> None:
    findings = list(configuration.check_secrets(changed(tmp_path, APOLLO_API_KEY="", HUBSPOT_ACCESS_TOKEN=" ")))
    assert levels(findings) == {Level.FAIL}
    (finding,) = findings
    assert all(name in finding.todo for name in ("APOLLO_API_KEY", "HUBSPOT_ACCESS_TOKEN"))


def test_the_shipped_event_types_all_have_lanes(tmp_path: Path) -> None:
    (finding,) = configuration.check_lanes(changed(tmp_path))
    assert finding.level is Level.OK
    assert "data_quality -> contact_repair" in finding.found


def test_a_lane_without_events_is_a_hint_and_events_without_a_lane_are_a_warning(tmp_path: Path) -> None:
    findings = list(configuration.check_lanes(changed(tmp_path, ("lead_created:", "lead_made:"))))
    found = {finding.found: finding.level for finding in findings}
    assert found["without events: lead_created"] is Level.HINT
    assert found["no sensor handles lead_made"] is Level.WARN


def test_no_lane_at_all_fails(tmp_path: Path) -> None:
    settings = changed(tmp_path)
    lead = settings.config.event_types["lead_created"]
    config = settings.config.model_copy(update={"event_types": {"lead_made": lead}})
    assert Level.FAIL in levels(configuration.check_lanes(replace(settings, config=config)))


def test_a_field_that_is_bought_and_written_nowhere_is_a_warning(tmp_path: Path) -> None:
    findings = configuration.check_mappings(changed(tmp_path, ("          seniority: Seniority__c\n", "")))
    (finding,) = [finding for finding in findings if "seniority" in finding.found]
    assert finding.level is Level.WARN
    assert "crm.salesforce.objects" in finding.todo


def test_an_outcome_without_a_word_is_a_warning(tmp_path: Path) -> None:
    findings = configuration.check_mappings(changed(tmp_path, (", skipped: Skipped", "")))
    wordless = [finding for finding in findings if "no word for" in finding.found]
    assert levels(wordless) == {Level.WARN}
    assert "skipped" in wordless[0].found


# --- machine ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def listening() -> Iterable[int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_a_free_port_is_fine() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert machine.check_port("gateway", port).level is Level.OK


@pytest.mark.parametrize(
    ("process", "level"),
    [
        ((7, "python -m enrichment_dagster.gateway.main"), Level.OK),
        ((7, "python -m dagster api grpc"), Level.OK),
        ((7, "nginx: master"), Level.FAIL),
        (None, Level.WARN),
    ],
)
def test_a_port_in_use_is_judged_by_its_process(
    process: tuple[int, str] | None, level: Level, listening: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_listener", lambda _port: process)
    assert machine.check_port("gateway", listening).level is level


def test_the_listening_process_is_found(listening: int) -> None:
    found = machine._listener(listening)
    assert found is not None
    assert found[0] == os.getpid()
    assert "python" in found[1]


def test_a_home_that_can_not_be_written_fails(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings = load_settings(environment(tmp_path / "file" / "home"))
    assert Level.FAIL in levels(machine.check_home(settings))
    assert not list(tmp_path.glob(".doctor-*"))


@pytest.mark.parametrize(("free", "level"), [(2**20, Level.FAIL), (2**30, Level.WARN), (2**40, Level.OK)])
def test_little_room_on_the_disk(free: int, level: Level, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=free))
    assert machine.check_disk(tmp_path).level is level


# --- stores ----------------------------------------------------------------------------------------------------------


def test_looking_at_stores_creates_none(tmp_path: Path) -> None:
    settings = load_settings(environment(tmp_path / "home"))
    assert levels(stores.check_stores(settings)) == {Level.OK}
    assert not settings.home.exists()


@pytest.mark.parametrize(
    ("version", "level"), [(OPS.head, Level.OK), ("0000", Level.WARN), ("9999", Level.FAIL), (None, Level.OK)]
)
def test_the_schema_version_is_compared(version: str | None, level: Level, tmp_path: Path) -> None:
    settings = load_settings(environment(tmp_path))
    put_empty_stores(settings.home)
    database = open_ops_database(settings)
    with database.write() as connection:
        if version is None:
            connection.execute(text(f"DROP TABLE {OPS.version_table}"))
        else:
            connection.execute(text(f"UPDATE {OPS.version_table} SET version_num = '{version}'"))
    database.dispose()
    assert stores.check_schema(settings, OPS, settings.ops_path).level is level


def test_a_file_that_is_no_database_fails(tmp_path: Path) -> None:
    settings = load_settings(environment(tmp_path))
    settings.journal_path.write_bytes(b"no database" * 200)
    assert stores.check_schema(settings, JOURNAL, settings.journal_path).level is Level.FAIL


# --- online ----------------------------------------------------------------------------------------------------------


def test_a_host_that_listens_is_reachable(listening: int) -> None:
    assert check_reachable("apollo", f"http://127.0.0.1:{listening}/x").level is Level.OK


@pytest.mark.parametrize("make", [lambda _port: "http://127.0.0.1:1", lambda port: f"https://127.0.0.1:{port}"])
def test_a_host_that_does_not_answer_as_it_should_fails(
    make: Callable[[int], str], listening: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("enrichment_dagster.cli.doctor.online._TIMEOUT_SECONDS", 0.3)
    finding = check_reachable("apollo", make(listening))
    assert finding.level is Level.FAIL
    assert "APOLLO_BASE_URL" in finding.todo
