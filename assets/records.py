"""What analysts query: people and companies, best value per field, copied into the warehouse by the projector."""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from assets.lanes import OWNER
from assets.metadata import projection_metadata
from enrichment_dagster.resources import EnrichmentResource

_ABOUT = "Copied from the operational store past a watermark; open the warehouse with `enrichment sql`."


def records_asset(upstream: Sequence[str]) -> dg.AssetsDefinition:
    """Return the assets ``contacts`` and ``companies``: one projection fills both."""

    def spec(name: str, meaning: str) -> dg.AssetSpec:
        return dg.AssetSpec(
            name,
            deps=list(upstream),
            group_name="warehouse",
            kinds={"duckdb", "ducklake", "polars"},
            owners=[OWNER],
            description=f"{meaning} {_ABOUT}",
        )

    @dg.multi_asset(
        name="project_records",
        specs=[
            spec("contacts", "People, one row each: the best known value of every field, with its provenance."),
            spec("companies", "Companies, one row each: the best known value of every field, with its provenance."),
        ],
    )
    def project_records(
        context: dg.AssetExecutionContext, enrichment: EnrichmentResource
    ) -> Iterator[dg.MaterializeResult[Any]]:
        report = enrichment.project(owner=context.run.run_id)
        for name in ("contacts", "companies"):
            yield dg.MaterializeResult(asset_key=name, metadata=projection_metadata(report, name))

    return project_records
