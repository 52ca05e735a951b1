"""The benchmarks start, and what they compute is right. Nothing is measured here."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from itertools import count
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks.command import QUICK_RESULTS, RESULTS, results_folder
from benchmarks.crm import Lead, hubspot_delivery
from benchmarks.growth import allocated
from benchmarks.hops import differences
from benchmarks.load import send
from benchmarks.report import BEGIN, END, update_readme
from benchmarks.results import HEADER, Figure, Result, load_results, number, table
from benchmarks.routing_faults import what_matters
from benchmarks.run import NAMES, summarise
from benchmarks.run import main as run
from benchmarks.stats import percentile, schedule, summary
from benchmarks.usage import ENDED_RUNS, cpu_between, role_of
from enrichment_dagster.supervise.environment import Ports

MACHINE = {
    "date": "2026-11-23T14:00:00+00:00",
    "revision": "abc",
    "load_average_at_start": [0.1, 0.1, 0.1],
    "cores": 2,
    "cpu": "some processor",
    "memory_gb": 24.7,
    "file_system": "ext4",
    "kernel": "6.1",
    "python": "3.11.4",
    "packages": {"dagster": "1", "duckdb": "2", "polars": "3"},
}


@pytest.mark.parametrize("name", [*NAMES, "run"])
def test_every_script_explains_itself(name: str) -> None:
    result = CliRunner().invoke(import_module(f"benchmarks.{name}").main, ["--help"])
    assert result.exit_code == 0
    assert "--quick" in result.output


# --- statistics ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([5.0], 0.99, 5.0),
        ([1.0, 2.0, 3.0, 4.0], 0.5, 2.0),
        ([4.0, 1.0, 3.0, 2.0], 1.0, 4.0),
        ([float(n) for n in range(1, 101)], 0.99, 99.0),
        ([float(n) for n in range(1, 101)], 0.95, 95.0),
        ([float(n) for n in range(1, 31)], 0.99, 30.0),
    ],
)
def test_percentile_is_a_value_that_was_measured(values: list[float], share: float, expected: float) -> None:
    assert percentile(values, share) == expected


@pytest.mark.parametrize(("values", "share"), [([], 0.5), ([1.0], 0.0), ([1.0], 1.1)])
def test_percentile_of_nothing_is_an_error(values: list[float], share: float) -> None:
    with pytest.raises(ValueError, match=r"values|share"):
        percentile(values, share)


def test_summary_of_a_series() -> None:
    found = summary([3.0, 1.0, 2.0])
    assert (found["n"], found["min"], found["p50"], found["max"], found["mean"]) == (3, 1.0, 2.0, 3.0, 2.0)
    assert summary([]) == {"n": 0}


def test_schedule_follows_the_rate() -> None:
    assert schedule(2.0, 4, [1.0]) == [0.5, 1.0, 1.5, 2.0]
    assert schedule(10.0, 3, [0.5, 1.5]) == pytest.approx([0.05, 0.2, 0.25])


# --- verdicts, tables, files --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("figure", "verdict"),
    [
        (Figure("a", 49.9, "ms", 50), "met"),
        (Figure("a", 50, "ms", 50), "MISSED"),
        (Figure("a", 3, "runs", 3, sign="<="), "met"),
        (Figure("a", 4, "runs", 3, sign="<="), "MISSED"),
        (Figure("a", 4, "s"), "-"),
    ],
)
def test_verdict(figure: Figure, verdict: str) -> None:
    assert figure.verdict == verdict


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (3, "3"), (0.1234, "0.123"), (12.34, "12.3"), (1234.5, "1,234"), (1200, "1,200")]
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert number(value) == text


def make_result(measured: float = 40.0) -> Result:
    result = Result("intake", "A. Something", False, MACHINE, {"n": 3})
    result.add("p99", measured, "ms", below=50)
    result.series["latency"] = [1.0, 2.0, 3.0]
    return result


def test_a_result_survives_its_file(tmp_path: Path) -> None:
    path = make_result().write(tmp_path / "new")
    data = json.loads(path.read_text(encoding="utf-8"))
    assert data == load_results(tmp_path / "new")[0]
    assert data["figures"][0] == {"name": "p99", "target": "< 50 ms", "measured": 40.0, "unit": "ms", "verdict": "met"}
    assert data["percentiles"]["latency"]["p50"] == 2.0
    assert data["samples"]["latency"] == [1.0, 2.0, 3.0]
    assert data["machine"]["cores"] == 2


def test_files_of_others_are_no_results(tmp_path: Path) -> None:
    make_result().write(tmp_path)
    (tmp_path / "soak.json").write_text('{"minutes": 1}', encoding="utf-8")
    assert [data["benchmark"] for data in load_results(tmp_path)] == ["intake"]


def test_a_long_series_is_kept_as_percentiles_only() -> None:
    result = make_result()
    result.series["latency"] = [1.0] * 5_000
    assert result.as_data()["samples"] == {}
    assert result.as_data()["percentiles"]["latency"]["n"] == 5_000


def test_table_is_markdown() -> None:
    lines = table(HEADER, [("a", "b", "c", "d")]).splitlines()
    assert lines[0].startswith("| figure |")
    assert set(lines[1]) == {"|", "-"}
    assert len({len(line) for line in lines}) == 1


def test_quick_results_do_not_replace_recorded_ones(tmp_path: Path) -> None:
    assert results_folder(False, None) == RESULTS
    assert results_folder(True, None) == QUICK_RESULTS
    assert results_folder(True, tmp_path) == tmp_path


def test_report_replaces_only_its_part_of_the_readme(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n\n{BEGIN}\nold\n{END}\n\nafter\n", encoding="utf-8")
    update_readme(readme, [make_result().as_data()])
    once = readme.read_text(encoding="utf-8")
    update_readme(readme, [make_result().as_data()])
    assert readme.read_text(encoding="utf-8") == once
    assert once.startswith("before\n")
    assert once.endswith("after\n")
    assert "old" not in once
    assert "| p99    | < 50 ms | 40 ms    | met     |" in once
    assert "load average before it 0.1" in once


# --- the runner ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("measured", "broken", "arguments", "exit_code"),
    [(40.0, False, [], 0), (60.0, False, [], 0), (60.0, False, ["--check"], 1), (40.0, True, ["--check"], 2)],
)
def test_the_runner_fails_for_missed_targets_only_when_asked(
    measured: float,
    broken: bool,
    arguments: list[str],
    exit_code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def pretend(name: str, folder: Path, quick: bool, base_port: int) -> bool:
        make_result(measured).write(folder)
        return not broken

    monkeypatch.setattr("benchmarks.run.run_one", pretend)
    result = CliRunner().invoke(run, ["intake", "--quick", "--results", str(tmp_path), *arguments])
    assert result.exit_code == exit_code


def test_missed_targets_are_counted(tmp_path: Path) -> None:
    make_result(60.0).write(tmp_path)
    assert summarise(tmp_path, ["intake"]) == 1
    assert summarise(tmp_path, []) == 0


# --- what is measured with ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "role"),
    [
        (["python", "-m", "dagster", "api", "grpc", "--module-name", "enrichment_dagster.definitions"], "code server"),
        (["python", "-c", "from enrichment_dagster.cli import main; main()", "up"], "supervisor"),
        (["python", "-m", "enrichment_dagster.gateway.main"], "gateway"),
        (["python", "-c", "from multiprocessing.spawn import spawn_main"], "run"),
        (["sleep", "1"], "other"),
    ],
)
def test_role_of_a_process(words: list[str], role: str) -> None:
    assert role_of(words) == role


def test_processor_time_between_two_looks() -> None:
    used = cpu_between({"daemon": 1.0}, {"daemon": 1.5, ENDED_RUNS: 3.0})
    assert used == {ENDED_RUNS: 3.0, "daemon": 0.5}
    assert next(iter(used)) == ENDED_RUNS


def test_hops_are_the_time_since_the_mark_before() -> None:
    assert differences({"late": 3.5, "first": 1.0, "second": 1.5}) == {"first": 0.0, "second": 0.5, "late": 2.0}


def test_allocated_counts_a_file_with_its_write_ahead_log(tmp_path: Path) -> None:
    for name in ("ops.db", "ops.db-wal", "other.db"):
        (tmp_path / name).write_bytes(b"x" * 10_000)
    both = allocated(tmp_path / "ops.db")
    assert both == sum((tmp_path / name).stat().st_blocks * 512 for name in ("ops.db", "ops.db-wal"))
    assert allocated(tmp_path) > both
    assert allocated(tmp_path / "missing.db") == 0


def test_a_hubspot_delivery_is_one_request_with_all_events() -> None:
    leads = [Lead("hubspot", str(n), f"p{n}@example.com", "Acme", 1_790_000_000_000) for n in (1, 2)]
    head, _, body = hubspot_delivery(leads, Ports()).partition(b"\r\n\r\n")
    assert [event["objectId"] for event in json.loads(body)] == [1, 2]
    assert b"content-length: %d" % len(body) in head
    assert b"X-HubSpot-Signature-v3: " in head


@contextmanager
def server(statuses: list[int], hold: threading.Event | None = None) -> Iterator[int]:
    """A server that answers with these statuses in turn; 0 hangs up. ``hold`` keeps back the first answer."""
    asked = count(1)

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline() == b"GET / HTTP/1.1\r\n" and self.rfile.readline() == b"\r\n":
                number = next(asked)
                if hold is not None and number == 1:
                    hold.wait(10)
                if not (status := statuses[(number - 1) % len(statuses)]):
                    return
                self.wfile.write(b"HTTP/1.1 %d X\r\nContent-Length: 2\r\n\r\nok" % status)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as listener:
        thread = threading.Thread(target=listener.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield listener.server_address[1]
        finally:
            listener.shutdown()
            thread.join(10)


REQUEST = b"GET / HTTP/1.1\r\n\r\n"


def test_the_generator_returns_every_answer_in_order() -> None:
    with server([200, 503, 0]) as port:
        sent = send(port, [REQUEST] * 6, [0.0] * 6, connections=1)
    assert [exchange.status for exchange in sent] == [200, 503, 0, 200, 503, 0]
    assert [exchange.accepted for exchange in sent] == [True, False, False, True, False, False]


def test_a_request_that_waits_behind_a_slow_one_pays_for_it() -> None:
    """No coordinated omission: with one connection, the second request's wait counts from when it was due."""
    hold = threading.Event()
    threading.Timer(0.3, hold.set).start()
    with server([200], hold) as port:
        slow, behind = send(port, [REQUEST] * 2, [0.0, 0.01], connections=1)
    assert behind.latency_seconds + 0.01 >= slow.latency_seconds
    assert behind.late_seconds + 0.01 >= slow.latency_seconds
    assert behind.due_at > slow.due_at


def test_answers_of_one_lead_differ_where_a_wanted_field_or_the_routing_does():
    routing = {"segment": "mid_market", "score": 25, "route": "inside_sales"}
    answer = {"data": {"employees": 340, "title": "CTO"}, "routing": routing, "status": "enriched"}
    assert what_matters(answer) == what_matters({**answer, "data": {"employees": 340}, "status": "cached"})
    assert what_matters(answer) != what_matters({**answer, "data": {"title": "CTO"}})
    assert what_matters(answer) != what_matters({**answer, "routing": {**routing, "score": 45}})
    assert what_matters(answer) != what_matters({})
