"""What the documentation names exists, and it names nothing that is only here."""

from __future__ import annotations

import os
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import click
import pytest
import yaml
from markdown import DOCUMENTS, blocks, links, name_of, paths
from pydantic import BaseModel
from support.demo import ROOT

from enrichment_dagster.cli import COMMANDS, main
from enrichment_dagster.domain.config import EnrichmentConfig
from enrichment_dagster.settings import load_settings, missing_secrets

LANGUAGES = {"bash", "sql", "python", "text", "yaml", "json", "mermaid", "javascript", "apex"}
FORBIDDEN = (
    r"/(?:work|home|root|Users)/",
    r"pypi\.org|pythonhosted|artifactory|jfrog|/simple\b",
    r"localhost:\d+|10\.\d+\.\d+\.\d+|192\.168\.",
)
MADE_AT_RUN_TIME = ("logs/", "dagster/", "warehouse/", "data/")
BASES = (ROOT, ROOT / "enrichment_dagster", ROOT / "enrichment_dagster" / "store")
MOST_PICTURE_BYTES = 300_000

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)


@each_document
def test_links_lead_somewhere(document: Path) -> None:
    missing = [target for target in links(document) if not (document.parent / target).exists()]
    assert not missing


@each_document
def test_paths_exist(document: Path) -> None:
    named = [path for path in paths(document) if not path.startswith(MADE_AT_RUN_TIME)]
    assert not [path for path in named if not any((base / path).exists() for base in BASES)]


@each_document
def test_nothing_of_one_machine_is_named(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    assert not [pattern for pattern in FORBIDDEN if re.search(pattern, text)]


@each_document
def test_blocks_say_their_language(document: Path) -> None:
    assert {block.language for block in blocks(document)} <= LANGUAGES


@each_document
def test_yaml_blocks_are_yaml(document: Path) -> None:
    for block in blocks(document, "yaml", "json"):
        assert yaml.safe_load(block.text)


@pytest.mark.parametrize("picture", sorted((ROOT / "docs" / "images").iterdir()), ids=lambda path: path.name)
def test_pictures_are_small_and_used(picture: Path) -> None:
    assert picture.stat().st_size < MOST_PICTURE_BYTES
    used = {(path.parent / target).resolve() for path in DOCUMENTS for target in links(path)}
    assert picture in used
    if picture.suffix == ".svg":
        ET.parse(picture)


def test_the_readme_has_both_commands_first_and_is_short() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    bash = [block.first_line for block in blocks(ROOT / "README.md", "bash")]
    assert bash[:2] == ["make demo", "make test"]
    assert len(text.splitlines()) < 200


def test_the_makefile_runs_what_the_readme_promises() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipes = dict(re.findall(r"^(\w+):.*\n\t(.+)$", makefile, re.MULTILINE))
    assert recipes["demo"] == "$(BIN)/enrichment demo"
    assert recipes["test"] == "$(BIN)/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder"


def test_the_readme_lists_every_command() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `enrichment (\w+)`", text, re.MULTILINE))
    assert listed == {entry.name for entry in COMMANDS} == set(main.list_commands(click.Context(main)))


def settings_of(model: type[BaseModel]) -> Iterator[str]:
    """Yield the names of all settings of a part of the configuration, with those of its parts."""
    for name, field in model.model_fields.items():
        yield name
        for part in parts(field.annotation):
            yield from settings_of(part)


def parts(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from parts(inner)


def test_every_setting_is_told_in_the_file_or_in_a_guide() -> None:
    """Nobody can use what only the code knows."""
    places = [ROOT / "enrichment.yaml", *(ROOT / "docs" / "guides").glob("*.md")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in places)
    told = {first or second for first, second in re.findall(r"\b(\w+):|`(?:\w+\.)*(\w+)`", text)}
    assert not set(settings_of(EnrichmentConfig)) - told


def test_the_readme_names_every_key() -> None:
    settings = load_settings({"ENRICHMENT_CONFIG": str(ROOT / "enrichment.yaml"), "PATH": os.defpath})
    wanted = {name for line in missing_secrets(settings) for name in re.findall(r"variable (\w+)", line)}
    named = set(re.findall(r"`([A-Z][A-Z_]+)`", (ROOT / "README.md").read_text(encoding="utf-8")))
    assert wanted
    assert wanted <= named
