"""Tasks that make the estate itself ready."""

from airflow.sdk import BaseOperator, Context

from reelkeeper_airflow.estate import connect_to_catalogue, current_estate


class PrepareCatalogueOperator(BaseOperator):
    """Applies the migrations that are due and makes the partitions of the months ahead.

    Returns how many things were made and how many were found.
    """

    def execute(self, context: Context) -> dict[str, int]:
        from datetime import UTC, datetime

        from reelkeeper.estate_setup import prepare_catalogue

        changes = prepare_catalogue(current_estate(), connect=connect_to_catalogue, now=datetime.now(UTC))
        made = sum(change.changed for change in changes)
        return {"made": made, "found": len(changes) - made}
