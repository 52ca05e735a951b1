from __future__ import annotations

import asyncio
import csv
import io
import json
from pathlib import Path

import pytest
from support.process import run
from support.story import Installation, call, environment

from enrichment_dagster.composition import open_projector


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    installation = Installation(tmp_path_factory.mktemp("sql") / "home")

    async def one_event() -> None:
        await installation.deliver(await installation.enrich(await installation.receive()))

    asyncio.run(one_event())
    open_projector(installation.settings, installation.stores).project()
    installation.close()
    return environment(installation.home)


def test_a_query_prints_a_table(env: dict[str, str]) -> None:
    result = call(env, "sql", "SELECT outcome, count(*) AS events FROM events GROUP BY ALL ORDER BY 1")
    assert result.exit_code == 0, result.output
    assert "outcome" in result.stdout
    assert "partial" in result.stdout


def test_a_wide_row_is_printed_one_value_per_line(env: dict[str, str]) -> None:
    """Eighteen columns side by side would be a few letters wide each."""
    lines = call(env, "sql", "FROM events WHERE kind = 'event'").stdout.splitlines()
    assert any(line.split() == ["event_type", "lead_created"] for line in lines)
    narrow = call(env, "sql", "SELECT outcome, kind FROM events WHERE kind = 'event'").stdout
    assert "row 1" not in narrow


def test_a_query_as_json_and_csv(env: dict[str, str]) -> None:
    query = "SELECT work_id, cost_usd, finished_at, NULL AS nothing FROM events WHERE kind = 'event'"
    (row,) = json.loads(call(env, "sql", query, "--json").stdout)
    assert list(row) == ["work_id", "cost_usd", "finished_at", "nothing"]
    assert (row["cost_usd"], row["nothing"]) == (0.02, None)
    (line,) = csv.DictReader(io.StringIO(call(env, "sql", query, "--csv").stdout))
    assert (line["work_id"], line["nothing"]) == (row["work_id"], "")


def test_a_wrong_query_ends_with_2_and_names_the_place(env: dict[str, str]) -> None:
    result = call(env, "sql", "SELECT nonsense FROM events")
    assert result.exit_code == 2
    assert "nonsense" in result.stderr
    assert "SHOW TABLES" in result.stderr


@pytest.mark.parametrize("query", ["DELETE FROM events", "DROP TABLE events", "INSERT INTO schema_version VALUES (9)"])
def test_nothing_can_be_written(query: str, env: dict[str, str]) -> None:
    assert call(env, "sql", query).exit_code == 2
    (row,) = json.loads(call(env, "sql", "SELECT count(*) AS n FROM events WHERE kind = 'event'", "--json").stdout)
    assert row["n"] == 1


def test_a_statement_without_a_result_prints_nothing_wrong(env: dict[str, str]) -> None:
    assert call(env, "sql", "SET threads = 1", "--json").exit_code == 0


@pytest.mark.parametrize("query", ["", "  ", ";", "/* nothing */"])
def test_an_empty_query_ends_with_2_in_words(query: str, env: dict[str, str]) -> None:
    result = call(env, "sql", query, "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"]["reason"] == "bad_query"
    assert "no statement" in result.stderr


def test_what_is_no_number_is_null_in_json(env: dict[str, str]) -> None:
    result = call(env, "sql", "SELECT 'nan'::DOUBLE AS a, '-inf'::DOUBLE AS b, 1.5::DOUBLE AS c", "--json")
    assert json.loads(result.stdout, parse_constant=pytest.fail) == [{"a": None, "b": None, "c": 1.5}]


def test_lists_and_maps_are_json_everywhere(env: dict[str, str]) -> None:
    """Not Python's way of writing them, which nothing else reads."""
    query = "SELECT ['Zoë', NULL, 'a,b'] AS tags, MAP {DATE '2026-01-02': ['nan'::DOUBLE]} AS days, true AS yes"
    tags, days = ["Zoë", None, "a,b"], {"2026-01-02": [None]}
    assert json.loads(call(env, "sql", query, "--json").stdout, parse_constant=pytest.fail) == [
        {"tags": tags, "days": days, "yes": True}
    ]
    (line,) = csv.DictReader(io.StringIO(call(env, "sql", query, "--csv").stdout))
    assert (json.loads(line["tags"]), json.loads(line["days"]), line["yes"]) == (tags, days, "true")
    assert '["Zoë", null, "a,b"]' in call(env, "sql", query).stdout


def test_json_keeps_all_columns_of_one_name(env: dict[str, str]) -> None:
    result = call(env, "sql", "SELECT 1 AS key, 2 AS key, 3 AS key_1, 4 AS key", "--json")
    assert json.loads(result.stdout) == [{"key": 1, "key_1": 2, "key_1_1": 3, "key_2": 4}]


def test_a_catalog_in_postgres_needs_no_file(empty: dict[str, str]) -> None:
    elsewhere = {**empty, "ENRICHMENT_CATALOG_URL": "postgresql://127.0.0.1:1/none"}
    query = call(elsewhere, "sql", "SELECT 1")
    assert (query.exit_code, "can't be opened at its Postgres catalog" in query.stderr) == (1, True)
    prompt = call(elsewhere, "sql")
    assert (prompt.exit_code, "give a QUERY" in prompt.stderr) == (1, True)


def test_json_and_csv_at_once_end_with_2(env: dict[str, str]) -> None:
    assert call(env, "sql", "SELECT 1", "--json", "--csv").exit_code == 2


def test_the_prompt_is_on_the_warehouse_and_reads_only(env: dict[str, str]) -> None:
    found = run(env, "sql", "--csv", stdin="SELECT count(*) AS n FROM events WHERE kind = 'event';\n")
    assert (found.returncode, found.stdout.split()) == (0, ["n", "1"])
    refused = run(env, "sql", stdin="DELETE FROM events;\n")
    assert "read-only" in refused.stdout + refused.stderr


def test_without_a_prompt_it_says_how_to_get_one(env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_args, **_kwargs: None)
    result = call(env, "sql")
    assert result.exit_code == 1
    assert "pip install duckdb-cli" in result.stderr


@pytest.fixture
def empty(tmp_path: Path) -> dict[str, str]:
    Installation(tmp_path).close()
    return environment(tmp_path)


@pytest.mark.parametrize("words", [["sql"], ["sql", "SELECT 1"], ["sql", "SELECT 1", "--json"]])
def test_nothing_projected_yet(words: list[str], empty: dict[str, str]) -> None:
    result = call(empty, *words)
    assert result.exit_code == 1
    assert "nothing was projected yet" in result.stderr
