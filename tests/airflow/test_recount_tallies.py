"""The task of recount_tallies, called bare."""

from pathlib import Path

import pytest

from reelkeeper.errors import GateFailed
from reelkeeper_airflow.estate import connect_to_catalogue, open_catalogue
from reelkeeper_airflow.operators.tallies import RecountTalliesOperator


def test_it_is_content_until_somebody_changes_rows_past_the_triggers(estate: Path) -> None:
    recount = RecountTalliesOperator(task_id="recount")
    assert set(recount.execute({}).values()) == {0}
    connection = connect_to_catalogue()
    with connection, connection.cursor() as cursor:
        cursor.execute("SET search_path = reelkeeper")
        cursor.execute("INSERT INTO usage_tallies VALUES ('local', 'acme', 'HOT', '', 'available', 3, 30, 0)")
    connection.close()
    with pytest.raises(GateFailed, match="1 of 'usage': expected none"):
        recount.execute({})
    assert set(recount.execute({}).values()) == {0}
    with open_catalogue() as catalogue:
        assert catalogue.tallies.usage() == ([], {})
