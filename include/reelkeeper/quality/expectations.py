"""great-expectations, as it is used here: in memory, silent, and with one kind of expectation.

Importing this module takes seconds and some 300 MB: jobs import it where they need it.
"""

import os
import warnings
from typing import Any, ClassVar

os.environ["GX_ANALYTICS_ENABLED"] = "false"  # it is read when the package is imported
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it imports what Python and pydantic deprecate
    import great_expectations as gx
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )
    from great_expectations.datasource.fluent.interfaces import TestConnectionError
    from great_expectations.expectations.core.unexpected_rows_expectation import UnexpectedRowsExpectation

from reelkeeper.policy.quality import is_met

__all__ = [
    "DataContextConfig",
    "InMemoryStoreBackendDefaults",
    "ProgressBarsConfig",
    "RowsAreRight",
    "TestConnectionError",
    "gx",
]

_WRONG, _LOOKED_AT = "unexpected_rows_query.table", "table.row_count"
COUNT_COLUMN = "wrong_rows_in_all"


class RowsAreRight(UnexpectedRowsExpectation):
    """A query finds no rows that are wrong, or only so few that `mostly` of those looked at are right.

    One query both counts the wrong rows and gives the first of them, where its base class asks twice.
    """

    mostly: float = 1.0

    metric_dependencies: ClassVar[tuple[str, ...]] = (_WRONG, _LOOKED_AT)
    success_keys: ClassVar[tuple[str, ...]] = ("unexpected_rows_query", "mostly")

    @classmethod
    def of(cls, wrong_rows: str, *, examples: int, **more: Any) -> "RowsAreRight":
        """`wrong_rows` is a query that reads from `looked`, which is what the batch holds."""
        # Without a JOIN great-expectations would give the batch an alias of its own. Braces are its own as well.
        looked = "SELECT batch.* FROM {batch} AS batch CROSS JOIN (SELECT) AS nothing"
        escaped = wrong_rows.replace("{", "{{").replace("}", "}}")
        query = (
            f"WITH looked AS ({looked}), wrong AS ({escaped}) "  # noqa: S608  (ours, its values bound)
            f"SELECT wrong.*, count(*) OVER () AS {COUNT_COLUMN} FROM wrong LIMIT {examples}"
        )
        return cls(unexpected_rows_query=query, **more)

    def _validate(
        self, metrics: dict[str, Any], runtime_configuration: Any = None, execution_engine: Any = None
    ) -> dict[str, Any]:
        rows, looked_at = metrics[_WRONG], metrics[_LOOKED_AT]
        wrong = rows[0][COUNT_COLUMN] if rows else 0
        examples = [{name: value for name, value in row.items() if name != COUNT_COLUMN} for row in rows]
        return {
            "success": is_met(looked_at=looked_at, wrong=wrong, mostly=self.mostly),
            "result": {
                "observed_value": wrong,
                "element_count": looked_at,
                "details": {"unexpected_rows": examples},
            },
        }
