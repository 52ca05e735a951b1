"""Opening the stores to read them: a question must not create what it asks about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from enrichment_dagster.cli.command import Failure
from enrichment_dagster.settings import HOME_VARIABLE, Settings

if TYPE_CHECKING:
    from enrichment_dagster.composition import Stores


@contextmanager
def open_existing(settings: Settings) -> Iterator[Stores]:
    """Open the operational store of this installation.

    Raises:
        Failure: there is none yet, or it does not answer.
    """
    from sqlalchemy.exc import SQLAlchemyError

    from enrichment_dagster.composition import open_stores

    if settings.store_url is None and not (settings.journal_path.is_file() and settings.ops_path.is_file()):
        raise Failure(
            "no_store",
            f"there is no store yet in {settings.home}: start with `enrichment up`, "
            f"or set {HOME_VARIABLE} to where yours is",
        )
    try:
        stores = open_stores(settings)
        try:
            yield stores
        finally:
            stores.close()
    except SQLAlchemyError as error:
        # The error's own text may hold the connection's URL.
        place = "the Postgres database" if settings.store_url else str(settings.home)
        raise Failure(
            "store", f"the store in {place} does not answer ({type(error).__name__}): try `enrichment doctor`"
        ) from error
