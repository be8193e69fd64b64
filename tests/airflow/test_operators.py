"""Operators called bare, on a real catalogue and real stores: the whole way of a few recordings."""

import logging
import shutil
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, chain
from airflow.sdk.exceptions import AirflowSkipException, DownstreamTasksSkipped, TaskDeferred

from reelkeeper.errors import BucketNotFound, ConfigurationError, GateFailed, StoreUnavailable
from reelkeeper_airflow.assets import REPLICAS, SEGMENTS
from reelkeeper_airflow.estate import connect_to_catalogue, open_catalogue, open_store
from reelkeeper_airflow.operators.filesystem import FilesystemSetUpStoreOperator
from reelkeeper_airflow.operators.ingest import (
    IngestBatchOperator,
    PlanIngestOperator,
    SummariseIngestOperator,
    ThumbnailBatchOperator,
)
from reelkeeper_airflow.operators.migrate import (
    MigrationGateOperator,
    SummariseMigrationOperator,
    VerifyBatchOperator,
    VerifySegmentOperator,
)
from reelkeeper_airflow.operators.minio import (
    MinioCheckStoreOperator,
    MinioSetUpStoreOperator,
    MinioTransferBatchOperator,
)
from reelkeeper_airflow.operators.plan_migration import PlanMigrationOperator
from reelkeeper_airflow.operators.store import backend_of, placed_at, seen_from

CAMERAS = ("gate", "yard", "hall")
DAY = datetime(2026, 3, 1, tzinfo=UTC)


class Run:
    """The context of one DAG run, with XComs that stay."""

    def __init__(
        self, run_id: str, run_type: str = "manual", interval: tuple[datetime, datetime] | None = None
    ) -> None:
        start, end = interval or (None, None)
        run = SimpleNamespace(run_id=run_id, run_type=run_type, data_interval_start=start, data_interval_end=end)
        self.xcom: dict[str, Any] = {}
        self.events = {asset: SimpleNamespace(extra={}) for asset in (SEGMENTS, REPLICAS)}
        ti = SimpleNamespace(xcom_push=lambda key, value: self.xcom.update({key: value}), map_index=-1,
                             xcom_pull=lambda *, task_ids, key: self.xcom.get(key))  # fmt: skip
        self.context: Any = {"dag_run": run, "ti": ti, "outlet_events": self.events}

    def do(self, operator: Any) -> Any:
        return operator.execute(self.context)


@pytest.fixture
def ready(estate: Path, footage: Any) -> Path:
    """The estate set up, and a recording of each camera in the landing zone."""
    Run("setup").do(FilesystemSetUpStoreOperator(task_id="t", store="local"))
    Run("setup").do(MinioSetUpStoreOperator(task_id="t", store="cloud"))
    for camera in CAMERAS:
        path = estate / "landing" / camera / f"{DAY:%Y-%m-%dT%H-%M-%SZ}.mp4"
        path.parent.mkdir()
        shutil.copy(footage.mp4, path)
    return estate


@pytest.fixture
def ingested(ready: Path) -> Path:
    run = Run("ingest")
    for batch in run.do(PlanIngestOperator(task_id="plan", zone="recorders")):
        run.do(IngestBatchOperator(task_id="ingest", batch_id=batch))
    return ready


def plan(run: Run, **options: Any) -> list[str]:
    batches: list[str] = run.do(PlanMigrationOperator(task_id="plan", **options))
    return batches


def gate(batch_ids: Sequence[str] | None, transferred: list[Any], verified: list[Any]) -> MigrationGateOperator:
    return MigrationGateOperator(task_id="gate", batch_ids=batch_ids, transferred=[transferred, None],
                                 verified=[verified, None])  # fmt: skip


def in_cloud() -> int:
    return sum(1 for stat in open_store("cloud").list("media/"))


# --- stores -----------------------------------------------------------------------------------------------------------


def test_set_up_says_what_it_made_and_changes_nothing_twice(estate: Path) -> None:
    first = Run("a").do(MinioSetUpStoreOperator(task_id="t", store="cloud"))
    again = Run("b").do(MinioSetUpStoreOperator(task_id="t", store="cloud"))
    assert first["made"] > 0
    assert again["made"] == 0
    assert again["found"] > 0
    assert Run("c").do(MinioCheckStoreOperator(task_id="t", store="cloud"))["passed"] > 3


def test_a_check_names_what_is_wrong_and_its_cure(estate: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"store 'cloud' is not ready: .*bucket.*cure"):
        Run("a").do(MinioCheckStoreOperator(task_id="t", store="cloud"))


def test_an_operator_refuses_a_store_of_another_kind(estate: Path) -> None:
    with pytest.raises(ConfigurationError, match="store 'local' is of kind 'filesystem'"):
        Run("a").do(MinioSetUpStoreOperator(task_id="t", store="local"))


def test_backends_bind_to_connection_pool_and_queue(estate_file: Path) -> None:
    from reelkeeper_airflow.estate import current_estate

    estate = current_estate()
    local, cloud = estate.store("local"), estate.store("cloud")
    assert backend_of(cloud).bound_to(cloud) == {"store": "cloud", "minio_conn_id": "minio_default"}
    assert placed_at(cloud, local) == {"pool": "store_cloud", "queue": "nvr-1"}
    assert placed_at(cloud) == {"pool": "store_cloud"}
    assert seen_from(estate.zone("recorders")) == {}


# --- ingest -----------------------------------------------------------------------------------------------------------


def test_ingest_from_zone_to_summary(ready: Path) -> None:
    (ready / "landing" / "gate" / "2026-03-01T01-00-00Z.mp4").write_bytes(b"no video")
    run = Run("ingest")
    batches = run.do(PlanIngestOperator(task_id="plan", zone="recorders"))
    assert run.xcom["counts"]["files"] == 4
    results = [run.do(IngestBatchOperator(task_id="ingest", batch_id=batch)) for batch in batches]
    pictures = [run.do(ThumbnailBatchOperator(task_id="thumbnails", batch_id=batch)) for batch in batches]
    summary = SummariseIngestOperator(
        task_id="summary", planned={"recorders": batches}, ingested={"recorders": results},
        pictured={"recorders": pictures},
    )  # fmt: skip
    counts = run.do(summary)
    assert (counts["ingested"], counts["quarantined"], counts["failed"]) == (3, 1, 0)
    assert pictures == [{"made": 3, "failed": 0}]
    assert run.events[SEGMENTS].extra["ingested"] == 3
    assert not list((ready / "landing" / "yard").glob("*.mp4"))


def test_ingest_leaves_other_zones_alone(ready: Path) -> None:
    assert Run("a").do(PlanIngestOperator(task_id="plan", zone="recorders", only="another")) == []


def summarise(planned: Any, ingested: Any, pictured: Any) -> Any:
    operator = SummariseIngestOperator(
        task_id="summary", planned={"z": planned}, ingested={"z": ingested}, pictured={"z": pictured}
    )
    return Run("a").do(operator)


def test_ingest_summary_tells_what_was_not_done(estate_file: Path) -> None:
    done = {"ingested": 1}
    with pytest.raises(GateFailed, match="zone 'z' was not looked at"):
        summarise(None, None, None)
    with pytest.raises(GateFailed, match="1 of 2 batches of zone 'z' were not ingested: expected 0"):
        summarise(["a", "b"], [done, None], [done, done])
    with pytest.raises(GateFailed, match="1 of 1 batches of zone 'z' got no thumbnails"):
        summarise(["a"], [done], [])
    with pytest.raises(GateFailed, match="2 of 3 files"):
        summarise(["a"], [{"ingested": 1, "quarantined": 2, "reasons": {"empty": 2}}], [done])
    with pytest.raises(AirflowSkipException, match="nothing was ingested"):
        summarise([], None, None)


# --- migrate ----------------------------------------------------------------------------------------------------------


def test_migration_from_plan_to_gate(ingested: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = Run("migrate")
    batches = plan(run, batch_size=2)
    assert [len(batches), run.xcom["counts"]["segments"]] == [2, 3]
    with caplog.at_level(logging.INFO):
        results = [
            run.do(MinioTransferBatchOperator(task_id="transfer", store="cloud", batch_id=batch)) for batch in batches
        ]
    assert sum(result["succeeded"] for result in results) == 3
    verified = [run.do(VerifyBatchOperator(task_id="verify", batch_id=batch)) for batch in batches]
    counts = run.do(gate(batches, results, verified))
    assert counts == run.events[REPLICAS].extra
    assert (counts["done"], counts["failed"], counts["open"]) == (3, 0, 0)
    assert run.do(SummariseMigrationOperator(task_id="summary"))["batches"] == 2
    assert in_cloud() == 3
    assert plan(Run("again")) == []


def test_a_dry_run_copies_nothing(ingested: Path) -> None:
    run = Run("dry")
    assert plan(run, is_dry_run="True") == []
    assert run.xcom["counts"]["segments"] == 3
    run.do(SummariseMigrationOperator(task_id="summary"))
    assert len(plan(Run("wet"))) == 1


def test_local_copies_stay_for_good_when_asked(ingested: Path) -> None:
    run = Run("keep")
    for batch in plan(run):
        run.do(MinioTransferBatchOperator(task_id="t", store="cloud", batch_id=batch, delete_local="False"))
    with open_catalogue() as catalogue:
        segments = catalogue.segments.find([]) or {}
        assert segments == {}
        replicas = catalogue.replicas.by_path("local", [stat.key for stat in open_store("local").list("media/")])
    assert [replica.retire_after for replica in replicas.values()] == [None] * 3


def test_a_run_given_a_range_takes_that_alone(ingested: Path) -> None:
    assert plan(Run("before"), end_time=DAY.isoformat()) == []
    assert len(plan(Run("from"), start_time=DAY.isoformat())) == 1
    with pytest.raises(ConfigurationError, match=r"start_time .* is not after"):
        plan(Run("wrong"), start_time=DAY.isoformat(), end_time=DAY.isoformat())
    with pytest.raises(ConfigurationError, match="naive"):
        plan(Run("naive"), start_time="2026-03-01T00:00:00")


def test_a_backfill_takes_exactly_its_interval(ingested: Path) -> None:
    hour = timedelta(hours=1)
    assert plan(Run("a", "backfill", (DAY - hour, DAY))) == []
    assert plan(Run("b", "backfill", (DAY + hour, DAY + 2 * hour))) == []
    assert len(plan(Run("c", "backfill", (DAY, DAY + hour)))) == 1


def test_a_scheduled_run_catches_up_on_the_hours_that_no_run_planned(ingested: Path) -> None:
    hour, week = timedelta(hours=1), timedelta(days=7)
    with closing(connect_to_catalogue()) as connection, connection, connection.cursor() as cursor:
        cursor.execute("DELETE FROM reelkeeper.migration_requests")  # they came late: that is not what is tested
    assert plan(Run("too late", "scheduled", (DAY + week + hour, DAY + week + 2 * hour))) == []
    assert len(plan(Run("in time", "scheduled", (DAY + week, DAY + week + hour)))) == 1


def test_a_scheduled_run_takes_what_came_late_as_well(ingested: Path) -> None:
    hour = timedelta(hours=1)
    run = Run("a", "scheduled", (DAY + hour, DAY + 2 * hour))
    assert len(plan(run)) == 1
    assert run.xcom["counts"]["segments"] == len(CAMERAS)
    assert plan(Run("b", "backfill", (DAY, DAY + hour))) == []  # they are on their way


@pytest.mark.parametrize("run_type", ["scheduled", "backfill", "manual"])
def test_a_run_that_finds_nothing_ends_with_its_plan_unless_a_person_waits_for_it(estate: Path, run_type: str) -> None:
    with DAG("migration"):
        operator = PlanMigrationOperator(task_id="plan", start_time=DAY.isoformat())
        after = [EmptyOperator(task_id=f"{rule}", trigger_rule=rule) for rule in ("all_success", "all_done")]
        chain(operator, *after, EmptyOperator(task_id="summary").as_teardown())
    run = Run("a", run_type, (DAY, DAY + timedelta(hours=1)))
    if run_type == "manual":
        assert run.do(operator) == []
        return
    with pytest.raises(DownstreamTasksSkipped) as skipped:
        run.do(operator)
    assert set(skipped.value.tasks) == {"all_success", "all_done", "summary"}
    assert run.xcom["return_value"] == []  # so that a gate that is cleared alone knows that the plan did not fail
    assert run.xcom["counts"]["segments"] == 0


def test_the_plan_waits_until_its_interval_is_old_enough(estate_file: Path) -> None:
    end = datetime.now(UTC)
    with pytest.raises(TaskDeferred) as deferred:
        plan(Run("a", "scheduled", (end - timedelta(hours=1), end)), older_than_minutes=30)
    assert deferred.value.trigger.moment == end + timedelta(minutes=30)
    assert deferred.value.method_name == "execute"


def test_mode_local_stops_the_next_task_and_loses_nothing(ingested: Path) -> None:
    path = ingested / "estate.toml"
    hybrid = path.read_text()
    run = Run("migrate")
    [batch] = plan(run)
    path.write_text(hybrid.replace('mode = "hybrid"', 'mode = "local"'))
    with pytest.raises(AirflowSkipException, match=r"placement\.mode is 'local'"):
        run.do(MinioTransferBatchOperator(task_id="transfer", store="cloud", batch_id=batch))
    stopped = run.xcom["return_value"]
    verified = [run.do(VerifyBatchOperator(task_id="verify", batch_id=batch))]
    assert run.do(gate([batch], [stopped], verified))["open"] == 3  # it waits: that is no failure
    with pytest.raises(AirflowSkipException, match="nothing goes to store 'cloud'"):
        plan(Run("next"))
    path.write_text(hybrid)
    run.do(MinioTransferBatchOperator(task_id="transfer", store="cloud", batch_id=batch))
    assert in_cloud() == 3


def test_the_gate_tells_what_is_missing(ingested: Path) -> None:
    run = Run("migrate")
    [batch] = plan(run)
    looked = {"verified": 0, "unverified": 0}
    with pytest.raises(GateFailed, match="the plan did not finish"):
        run.do(gate(None, [], []))
    with pytest.raises(AirflowSkipException, match="nothing was planned"):
        run.do(gate([], [], []))
    with pytest.raises(GateFailed, match="0 of 1 batches were verified"):
        run.do(gate([batch], [], []))
    with pytest.raises(GateFailed, match="3 of 3 transfers are unfinished"):
        run.do(gate([batch], [], [looked]))
    with pytest.raises(GateFailed, match="1 of 0 new replicas are missing"):
        run.do(gate([batch], [], [looked | {"unverified": 1}]))


def test_a_missing_bucket_is_permanent(estate: Path, footage: Any) -> None:
    run = Run("a")
    run.do(FilesystemSetUpStoreOperator(task_id="t", store="local"))
    shutil.copy(footage.mp4, estate / "landing" / f"gate_{DAY:%Y-%m-%dT%H-%M-%SZ}.mp4")
    for batch in run.do(PlanIngestOperator(task_id="plan", zone="recorders")):
        run.do(IngestBatchOperator(task_id="ingest", batch_id=batch))
    for batch in plan(run):
        with pytest.raises(BucketNotFound):
            run.do(MinioTransferBatchOperator(task_id="transfer", store="cloud", batch_id=batch))


def test_one_segment_is_verified_to_the_last_byte(ingested: Path) -> None:
    [key, *_] = [stat.key for stat in open_store("local").list("media/")]
    with open_catalogue() as catalogue:
        segment = catalogue.replicas.by_path("local", [key])[key].segment_id
    operator = VerifySegmentOperator(task_id="t", segment_id=str(segment))
    assert Run("a").do(operator) == {"verified": 1}
    (ingested / "footage").rename(ingested / "unmounted")
    with pytest.raises(StoreUnavailable, match=r"1 of 1 replicas .* could not be looked at: local"):
        Run("a").do(operator)
    (ingested / "unmounted").rename(ingested / "footage")
    path = ingested / "footage" / key
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(GateFailed, match="1 of 1 replicas"):
        Run("b").do(operator)
