"""What all commands share: ``--json``, exit codes in the help text, and errors in words instead of tracebacks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from enrichment_dagster.cli.output import print_json
from enrichment_dagster.errors import ConfigurationError, EnrichmentError

NOT_MET = 1
WRONG_USE = 2

Function = Callable[..., None]


class Failure(click.ClickException):
    """An expected end that is not success: the message names the next step, ``reason`` is a stable code."""

    exit_code = NOT_MET

    def __init__(self, reason: str, message: str, *, problems: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.reason = reason
        self.problems = tuple(problems)


class WrongUse(Failure):
    """The operator must call the command otherwise, or change the configuration."""

    exit_code = WRONG_USE


class EnrichmentCommand(click.Command):
    """Turns the product's errors into messages and exit codes; with ``--json`` standard output is JSON even then."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, EnrichmentError) as error:
            failure = as_failure(error)
            if ctx.params.get("as_json"):
                print_json(_as_json(failure))
            raise failure from None


def as_failure(error: click.ClickException | EnrichmentError) -> click.ClickException:
    """Return an error of the product as a command ends with it."""
    if isinstance(error, click.ClickException):
        return error
    if isinstance(error, ConfigurationError):
        message = f"{error}\nChange this, then try `enrichment doctor`: it checks configuration, keys and ports."
        return WrongUse("configuration", message, problems=error.problems)
    return Failure("store", str(error))


def _as_json(failure: click.ClickException) -> dict[str, Any]:
    reason, problems = (failure.reason, failure.problems) if isinstance(failure, Failure) else ("usage", ())
    return {"error": {"reason": reason, "message": failure.message, "problems": list(problems)}}


def command(
    name: str, *, not_met: str = "", wrong_use: str = "wrong usage or configuration", examples: Sequence[str] = ()
) -> Callable[[Function], click.Command]:
    """Make a command with ``--json`` whose help text has examples and says what its exit codes mean."""
    codes: Mapping[int, str] = {0: "all is well", NOT_MET: not_met, WRONG_USE: wrong_use}
    parts = ["\n".join(["\b\nExamples:", *(f"  {line}" for line in examples)])] if examples else []
    parts.append(
        "\n".join(["\b\nExit codes:", *(f"  {code}  {meaning}" for code, meaning in codes.items() if meaning)])
    )
    epilog = "\n\n".join(parts)

    def decorate(function: Function) -> click.Command:
        with_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")(function)
        return click.command(name, cls=EnrichmentCommand, epilog=epilog)(with_json)

    return decorate
