"""The kinds of values that ``enrichment.yaml`` holds."""

from __future__ import annotations

from types import MappingProxyType
from typing import Annotated, Any, TypeVar

import jmespath
import jmespath.exceptions
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from enrichment_dagster.domain.expression_names import LEAD_NAMES, ROUTE_NAMES
from enrichment_dagster.domain.expressions import parse
from enrichment_dagster.domain.template import placeholders

_NAME, _ENV_NAME = r"^[a-z][a-z0-9_]*$", r"^[A-Z][A-Z0-9_]*$"
_PROPERTY = r"^[A-Za-z0-9_]+$"
_DOMAIN, _LOOKUP = r"^[a-z0-9-]+(\.[a-z0-9-]+)+$", r"^[a-z0-9_]+\.[a-z0-9_]+$"
FORMS = MappingProxyType(
    {
        _NAME: "a name: small letters, digits and _, a letter first",
        _ENV_NAME: "the name of an environment variable: capital letters, digits and _, a letter first",
        _PROPERTY: "a property's internal name, as the CRM's API has it: letters, digits and _",
        _DOMAIN: "a domain like acme.com: small letters, no https:// and no path",
        _LOOKUP: "a provider and one of its lookups, like apollo.person",
    }
)
"""What a text of each pattern is."""

Name = Annotated[str, Field(pattern=_NAME)]
EnvName = Annotated[str, Field(pattern=_ENV_NAME)]
PropertyName = Annotated[str, Field(pattern=_PROPERTY, max_length=120)]
Seconds = Annotated[float, Field(gt=0, le=7 * 86_400)]
Memory = Annotated[float, Field(ge=0, le=365 * 86_400)]
Usd = Annotated[float, Field(ge=0, le=1_000_000)]
DomainName = Annotated[str, Field(pattern=_DOMAIN, max_length=253)]
LookupName = Annotated[str, Field(pattern=_LOOKUP)]

_T = TypeVar("_T")


def _compiles(expression: str) -> str:
    try:
        jmespath.compile(expression)
    except jmespath.exceptions.JMESPathError as error:
        raise ValueError(f"not a JMESPath expression: {str(error).splitlines()[0]}") from error
    return expression


JmesPath = Annotated[str, AfterValidator(_compiles)]
"""Where a value stands in a vendor's answer, e.g. ``data[].name``."""


def is_template(source: _T) -> _T:
    """Let a text, or a structure of texts, through whose placeholders are known; raises ValueError otherwise."""
    placeholders(source)
    return source


Template = Annotated[str, AfterValidator(is_template)]
"""A text with placeholders, see ``domain.template``."""


def _written_out(source: Any) -> Any:
    return str(source) if isinstance(source, bool) else source  # YAML reads a bare true as a boolean


def _fits_leads(expression: str) -> str:
    parse(expression, LEAD_NAMES)
    return expression


def _fits_routes(expression: str) -> str:
    parse(expression, ROUTE_NAMES)
    return expression


Condition = Annotated[str, BeforeValidator(_written_out), AfterValidator(_fits_leads)]
"""A condition over the fields of a lead, see ``domain.expressions``."""


RouteCondition = Annotated[str, BeforeValidator(_written_out), AfterValidator(_fits_routes)]
"""The same, over segment and score as well."""


Text = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]


def _as_digits(source: Any) -> Any:
    return str(source) if isinstance(source, int) and not isinstance(source, bool) else source  # YAML reads a number


AppId = Annotated[str, BeforeValidator(_as_digits), Field(pattern=r"^[1-9][0-9]{0,19}$")]


class ConfigModel(BaseModel):
    """A part of the file: it has no names but those that are told, and does not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)
