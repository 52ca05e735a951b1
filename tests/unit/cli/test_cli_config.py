from __future__ import annotations

import json
from pathlib import Path

import yaml
from support.story import SECRETS, call, environment


def test_check_says_that_the_file_is_right(tmp_path: Path) -> None:
    result = call(environment(tmp_path), "config", "--check")
    assert (result.exit_code, "is right" in result.stdout) == (0, True)


def test_no_secret_is_shown_only_whether_it_is_set(tmp_path: Path) -> None:
    env = environment(tmp_path, CLEARBIT_API_KEY="")
    for words in (["config"], ["config", "--json"]):
        output = call(env, *words).output
        assert not [secret for secret in SECRETS.values() if secret in output]
    secrets = json.loads(call(env, "config", "--json").stdout)["secrets"]
    assert (secrets["APOLLO_API_KEY"], secrets["CLEARBIT_API_KEY"]) == ("set", "missing")


def test_overrides_and_defaults_are_part_of_it(tmp_path: Path) -> None:
    env = environment(
        tmp_path,
        APOLLO_BASE_URL="http://me:pw@127.0.0.1:9100/apollo/",
        ENRICHMENT_PUBLIC_URL="https://we.example.org/",
    )
    effective = yaml.safe_load(call(env, "config").stdout)
    assert effective["urls"]["apollo"] == "http://***@127.0.0.1:9100/apollo"
    assert effective["urls"]["hubspot_webhooks"] == "https://we.example.org/webhooks/hubspot"
    assert effective["config"]["intake"]["hubspot"]["tolerance_seconds"] == 300.0


def test_json_has_stable_keys(tmp_path: Path) -> None:
    effective = json.loads(call(environment(tmp_path), "config", "--json").stdout)
    assert list(effective) == ["config_path", "home", "store", "urls", "secrets", "config"]
    checked = json.loads(call(environment(tmp_path), "config", "--check", "--json").stdout)
    assert list(checked) == ["valid", "config_path"]
