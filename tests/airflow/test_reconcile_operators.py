"""The tasks of a reconciliation on a real estate, bare."""

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from reelkeeper.errors import ConfigurationError
from reelkeeper_airflow.estate import open_catalogue, open_store
from reelkeeper_airflow.operators.reconcile import (
    BringBackOrphansOperator,
    PlanRepairsOperator,
    QuarantineOrphansOperator,
    ReconcileStoreOperator,
    RouteReconciliationOperator,
    SummariseReconciliationOperator,
    bring_back_of,
)
from tests.owning import owned


def _context(*, dry_run: bool) -> Any:
    run = SimpleNamespace(run_id="run", run_type="manual", run_after=datetime.now(UTC), conf={})
    xcom: dict[str, Any] = {}
    ti = SimpleNamespace(xcom_push=xcom.__setitem__, xcom_pull=lambda **_: None)
    return {"dag_run": run, "params": {"dry_run": dry_run, "clock": None}, "ti": ti, "xcom": xcom}


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_run_over_one_store(estate: Path, dry_run: bool) -> None:
    with open_catalogue() as catalogue:
        for name in ("local", "cloud"):
            list(open_store(name).set_up())
            owned(open_store(name), catalogue)
    name = "20260301T120000Z_00000000-0000-5000-8000-000000000000.mp4"
    stray = estate / "footage" / "media" / "default" / "gate" / "2026" / "03" / "01" / name
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"nobody's")
    context = _context(dry_run=dry_run)
    counts = ReconcileStoreOperator(task_id="compare", store="local").execute(context)
    assert (counts["objects"], counts["orphans"], counts["asks"]) == (1, 1, False)
    assert context["xcom"]["report"].startswith("reports/reconcile_stores/")
    take = QuarantineOrphansOperator(
        task_id="take", store="local", approve_task_id="approve", compare_task_id="compare"
    )
    plan = PlanRepairsOperator(task_id="plan", store="local")
    back = BringBackOrphansOperator(task_id="back", store="local", bring_back={"store": "local"})
    if dry_run:
        for task in (take, plan, back):
            with pytest.raises(AirflowSkipException):
                task.execute(context)
    else:
        assert take.execute(context)["quarantined"] == 0
        assert plan.execute(context) == []
        assert back.execute(context) == {"returned": 0, "kept": 0}
    assert SummariseReconciliationOperator(task_id="summary").execute(context)["orphans"] == 1
    assert stray.exists()


def test_the_route() -> None:
    routes = {"local": ("local.compare", "local.bring_back"), "cloud": ("cloud.compare", "cloud.bring_back")}

    def chosen(**given: Any) -> list[str]:
        return RouteReconciliationOperator(task_id="route", routes=routes, **given).choose_branch({})  # type: ignore[typeddict-item]

    assert chosen() == ["local.compare", "cloud.compare"]
    assert chosen(stores=["cloud"]) == ["cloud.compare"]
    assert chosen(bring_back={"store": "local", "path": "media/a"}) == ["local.bring_back"]
    with pytest.raises(ConfigurationError, match="unknown store"):
        chosen(stores=["elsewhere"])


@pytest.mark.parametrize("given", ["local", {"path": "media/a"}, {"store": "local", "all": "yes"}])
def test_what_comes_back_is_said_well(given: Any) -> None:
    with pytest.raises(ConfigurationError, match="bring_back"):
        bring_back_of(given)
