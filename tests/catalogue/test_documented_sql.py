"""The SQL that the runbook tells people to run is right for the schema as it is."""

import re
from contextlib import closing
from pathlib import Path

import psycopg2

RUNBOOK = Path(__file__).parents[2] / "docs/operations.md"


def test_what_the_runbook_tells_people_to_run_can_be_run(catalogue_dsn: str) -> None:
    text = RUNBOOK.read_text(encoding="utf-8")
    statements = re.findall(r"`((?:SELECT|DELETE)[^`]+)`|^((?:SELECT|DELETE) .+);$", text, re.MULTILINE)
    assert len(statements) >= 6
    with closing(psycopg2.connect(catalogue_dsn)) as connection, connection.cursor() as cursor:
        for in_text, in_block in statements:
            cursor.execute("EXPLAIN " + (in_text or in_block).replace("…", "NULL"))
