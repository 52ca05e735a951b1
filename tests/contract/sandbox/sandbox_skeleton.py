"""Compares the skeletons of two JSON values: keys and types, not values."""

from typing import Any


def differences(sample: Any, actual: Any, path: str = "$") -> list[str]:
    """Where the skeletons differ. Null fits any type, an empty list any list."""
    if sample is None or actual is None:
        return []
    if _kind(sample) != _kind(actual):
        return [f"{path}: {_kind(sample)} expected, {_kind(actual)} found"]
    if isinstance(sample, dict):
        found = [f"{path}: missing {sorted(sample.keys() - actual.keys())}"] if sample.keys() - actual.keys() else []
        found += (
            [f"{path}: unexpected {sorted(actual.keys() - sample.keys())}"] if actual.keys() - sample.keys() else []
        )
        for name in sample.keys() & actual.keys():
            found += differences(sample[name], actual[name], f"{path}.{name}")
        return found
    if isinstance(sample, list) and sample:
        return [
            line for number, item in enumerate(actual) for line in differences(sample[0], item, f"{path}[{number}]")
        ]
    return []


def assert_shape(expected: Any, actual: Any) -> None:
    """The actual answer fits, and would not if the emulator gave any one of its keys another name."""
    assert differences(expected, actual) == []
    for renamed in with_one_key_renamed(actual):
        assert differences(expected, renamed) != []


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    return type(value).__name__


def with_one_key_renamed(value: Any) -> list[Any]:
    """All variants of a JSON value in which exactly one key has another name."""
    if isinstance(value, dict):
        found = []
        for name, item in value.items():
            rest = {key: other for key, other in value.items() if key != name}
            found.append({**rest, f"{name}_renamed": item})
            found += [{**rest, name: variant} for variant in with_one_key_renamed(item)]
        return found
    if isinstance(value, list):
        return [
            [*value[:number], variant, *value[number + 1 :]]
            for number, item in enumerate(value)
            for variant in with_one_key_renamed(item)
        ]
    return []
