"""What the CRMs get: deliveries from the outbox."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from assets.lanes import OWNER
from assets.metadata import delivery_metadata
from assets.repeated import take_over_verdicts
from enrichment_dagster.clock import SystemClock
from enrichment_dagster.resources import EnrichmentResource
from enrichment_dagster.verdicts import WRITEBACK


def writeback_asset(upstream: Sequence[str]) -> dg.AssetsDefinition:
    """Return the asset of everything written back."""

    @dg.asset(
        name=WRITEBACK,
        deps=list(upstream),
        group_name="crm",
        kinds={"python", "salesforce", "hubspot"},
        owners=[OWNER],
        # Before the warehouse: a rep waits for the CRM, nobody waits for the tables.
        op_tags={"dagster/priority": "10"},
        description=(
            "Values written to Salesforce and HubSpot: empty properties are filled, filled ones are left alone, and "
            "the status, the missing fields and the time are set. Delivers whatever the outbox owes."
        ),
    )
    def crm_writeback(context: dg.AssetExecutionContext, enrichment: EnrichmentResource) -> dg.MaterializeResult[Any]:
        report = enrichment.deliver(owner=context.run.run_id)
        enrichment.dispatch().beat(f"fresh:{WRITEBACK}")  # the check's verdict is reported anew after this
        take_over_verdicts(context.instance, context.run.run_id, context.job_name, SystemClock().now())
        return dg.MaterializeResult(metadata=delivery_metadata(report))

    return crm_writeback
