"""`python -m enrichment_dagster.sandbox`: the sandbox as a process of its own."""

import gc
import time
from pathlib import Path

import click

from enrichment_dagster.sandbox.config import SandboxConfig
from enrichment_dagster.sandbox.faults import FaultPlan, FaultPlanError, load_plan
from enrichment_dagster.sandbox.server import serve

_EPOCH = 1_790_000_000
_MOST_RECORDS = 900_000_000


@click.command()
@click.option("--port", default=9100, show_default=True, help="Port on 127.0.0.1; 0 takes a free one.")
@click.option("--faults", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Fault plan, YAML.")
@click.option("--seed", default=7, show_default=True, help="Seed of the people and companies.")
@click.option("--people", default=5000, show_default=True)
@click.option("--companies", default=800, show_default=True)
@click.option("--api-key", "api_keys", multiple=True, help="Accepted vendor key; default: any that starts sandbox-.")
@click.option("--salesforce-client-id", default="sandbox-client", show_default=True)
@click.option("--salesforce-client-secret", default="sandbox-secret", envvar="SANDBOX_SALESFORCE_CLIENT_SECRET")
@click.option("--session-seconds", default=7200.0, show_default=True, help="Life of a Salesforce session.")
@click.option("--callback-delay", default=2.0, show_default=True, help="Seconds until Apollo and Clay call back.")
@click.option("--callback-repeats", default=0, show_default=True, help="How often each callback comes again.")
@click.option("--clay-lifetime", default=50_000, show_default=True, help="Rows that one Clay webhook ever takes.")
@click.option("--first-record", type=int, help="Number of the first CRM record; default: from the clock.")
def main(
    *,
    port: int,
    faults: Path | None,
    seed: int,
    people: int,
    companies: int,
    api_keys: tuple[str, ...],
    salesforce_client_id: str,
    salesforce_client_secret: str,
    session_seconds: float,
    callback_delay: float,
    callback_repeats: int,
    clay_lifetime: int,
    first_record: int | None,
) -> None:
    """Emulate the data vendors, a language model, Clay, HubSpot and Salesforce on the loopback address."""
    try:
        plan = load_plan(faults) if faults else FaultPlan(seed)
    except FaultPlanError as error:
        raise click.BadParameter(str(error), param_hint="--faults") from error
    config = SandboxConfig(
        seed=seed,
        people=people,
        companies=companies,
        api_keys=frozenset(api_keys),
        salesforce_client_id=salesforce_client_id,
        salesforce_client_secret=salesforce_client_secret,
        salesforce_session_seconds=session_seconds,
        callback_delay_seconds=callback_delay,
        callback_repeats=callback_repeats,
        clay_lifetime=clay_lifetime,
        first_record=_first_record() if first_record is None else first_record,
        faults=plan,
    )
    gc.freeze()
    serve(config, port, lambda url: click.echo(f"sandbox ready at {url}"))


def _first_record() -> int:
    """From the clock, so that a restarted sandbox does not give an old id to another person."""
    return (int(time.time()) - _EPOCH) * 10 % _MOST_RECORDS


if __name__ == "__main__":
    main()
