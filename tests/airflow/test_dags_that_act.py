"""DAGs that move, delete or spend: by hand they only tell, by schedule they act, and a person's no is a no."""

import re
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import TriggerRule

from reelkeeper_airflow.dag_index import read_dags
from reelkeeper_airflow.operators.approval import ApproveOperator
from reelkeeper_airflow.params import clock_param, dry_run_param

ROOT = Path(__file__).parents[2]
HARMLESS = {
    "check_catalogue", "generate_export", "ingest_recordings", "migrate_recordings", "recount_tallies", "report_estate",
    "report_metrics", "setup_estate", "verify_replicas",
}  # fmt: skip
"""They add, or only look. Everything else is dry by hand, also what is yet to be written."""
WITHOUT_CLOCK = {"restore_recordings"}
"""It waits for a store, which has no clock of ours."""


@pytest.fixture
def acting(estate_file: Path) -> list[Any]:
    return [dag for dag in read_dags(ROOT / "dags") if dag.dag_id not in HARMLESS]


def test_all_share_the_same_dry_run_and_clock(acting: list[Any]) -> None:
    for dag in acting:
        assert dag.params.get_param("dry_run").serialize() == dry_run_param().serialize(), dag.dag_id
        if dag.dag_id not in WITHOUT_CLOCK:
            assert dag.params.get_param("clock").serialize() == clock_param().serialize(), dag.dag_id


def test_no_scheduled_one_takes_the_default_of_the_form_for_an_answer(acting: list[Any]) -> None:
    for dag in acting:
        if dag.schedule is not None:
            for task in dag.tasks:
                rendered = [str(getattr(task, name, "")) for name in task.template_fields]
                assert not [text for text in rendered if re.search(r"params\.dry_run|params\[.dry_run", text)], (
                    f"{dag.dag_id}.{task.task_id}: expected is_dry_run(context)"
                )


def test_a_no_stops_what_acts_and_not_the_summary(acting: list[Any]) -> None:
    for dag in acting:
        for task in dag.tasks:
            if isinstance(task, ApproveOperator):
                after = list(task.get_direct_relatives(upstream=False))
                assert after, f"{dag.dag_id}.{task.task_id}: expected what acts directly after it"
                for later in task.get_flat_relatives(upstream=False):
                    # What is not skipped by name must be so by its trigger rule, or be no more than a summary.
                    assert later in after or later.trigger_rule == TriggerRule.ALL_SUCCESS or later.is_teardown, (
                        f"{dag.dag_id}.{later.task_id} would run after a no"
                    )
        ends = [task for task in dag.leaves if task.is_teardown]
        assert ends, f"{dag.dag_id}: expected a summary that always runs"
        assert all(not task.on_failure_fail_dagrun for task in ends)


def test_the_runbook_says_how_to_look_first(acting: list[Any]) -> None:
    for dag in acting:
        assert "dry_run" in dag.doc_md, dag.dag_id
