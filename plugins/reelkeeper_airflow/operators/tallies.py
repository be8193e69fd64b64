"""The task that holds the tallies against the rows they count."""

import logging

from airflow.sdk import BaseOperator, Context

from reelkeeper.errors import GateFailed
from reelkeeper_airflow.estate import open_catalogue

log = logging.getLogger(__name__)


class RecountTalliesOperator(BaseOperator):
    """Counts everything anew and makes right what differs. Returns how many counts of each tally differed: none.

    GateFailed where some did, after they were made right.
    """

    def execute(self, context: Context) -> dict[str, int]:
        from reelkeeper.reporting.gathering import recount

        with open_catalogue() as catalogue:
            drifted = recount(catalogue)
        if any(drifted.values()):
            told = ", ".join(f"{number} of {tally!r}" for tally, number in drifted.items() if number)
            raise GateFailed(
                f"tallies had drifted from the rows they count, and are right again: {told}: expected none, unless "
                "rows were changed past the triggers"
            )
        log.info("all tallies agree with the rows")
        return drifted
