"""Dice that depend on what is asked and not on how often: the same parts always give the same number."""

from hashlib import blake2b

_UNIT = 2.0**64


def chance(*parts: object) -> float:
    """A number from 0 to below 1."""
    return number(*parts) / _UNIT


def number(*parts: object) -> int:
    """A whole number of 64 bits."""
    return int.from_bytes(blake2b("|".join(map(str, parts)).encode(), digest_size=8).digest())


def hex_id(*parts: object) -> str:
    """Twenty-four hexadecimal digits, as MongoDB ids have (Apollo's are such)."""
    return blake2b("|".join(map(str, parts)).encode(), digest_size=12).hexdigest()
