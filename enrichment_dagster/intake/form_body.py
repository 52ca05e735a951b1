"""Reading a form (application/x-www-form-urlencoded) strictly, as ``json_body`` reads JSON."""

from __future__ import annotations

from urllib.parse import parse_qsl

from enrichment_dagster.errors import PayloadError

_MOST_PARAMETERS = 500


def parse_form(body: bytes) -> dict[str, str]:
    """Return the parameters of a form.

    Raises:
        PayloadError: ``not_a_form``, or ``duplicate_key`` where a parameter has two values.
    """
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=True, max_num_fields=_MOST_PARAMETERS)
    except ValueError as error:
        raise PayloadError("not_a_form", f"not a form of at most {_MOST_PARAMETERS} parameters in UTF-8") from error
    form = dict(pairs)
    if len(form) != len(set(pairs)):
        raise PayloadError("duplicate_key", "the form has the same parameter twice, with two values")
    return form
