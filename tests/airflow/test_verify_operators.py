"""The tasks of verify_replicas, called bare on an estate with footage."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from reelkeeper.errors import ConfigurationError, GateFailed
from reelkeeper_airflow.estate import open_catalogue, open_store
from reelkeeper_airflow.operators.filesystem import FilesystemSetUpStoreOperator
from reelkeeper_airflow.operators.ingest import IngestBatchOperator, PlanIngestOperator
from reelkeeper_airflow.operators.verify import SummariseVerificationOperator, VerifyStoreOperator


def context(run_id: str) -> Any:
    run = SimpleNamespace(run_id=run_id, run_type="manual", run_after=datetime.now(UTC), conf={})
    ti = SimpleNamespace(xcom_push=lambda **_: None)
    return {"dag_run": run, "params": {}, "ti": ti, "outlet_events": {}}


def verify(run_id: str, store: str = "local", **options: Any) -> dict[str, int]:
    found: dict[str, int] = VerifyStoreOperator(task_id="v", store=store, **options).execute(context(run_id))
    return found


@pytest.fixture
def footage_in(estate: Path, footage: Any) -> Path:
    """The path of one recording in the local store."""
    FilesystemSetUpStoreOperator(task_id="t", store="local").execute(context("setup"))
    source = estate / "landing" / "gate" / "2026-03-01T00-00-00Z.mp4"
    source.parent.mkdir()
    source.write_bytes(footage.mp4.read_bytes())
    pushed: dict[str, Any] = {}
    ingest = context("ingest") | {"ti": SimpleNamespace(xcom_push=pushed.__setitem__)}
    for batch in PlanIngestOperator(task_id="plan", zone="recorders").execute(ingest):
        IngestBatchOperator(task_id="ingest", batch_id=batch).execute(ingest)
    [found] = [stat.key for stat in open_store("local").list("media/")]
    return estate / "footage" / found


def test_from_scope_to_summary(footage_in: Path) -> None:
    assert verify("due")["read"] == 0  # it was proved when it came in
    everything = verify("all", everything="True")
    assert (everything["read"], everything["bytes_read"]) == (1, footage_in.stat().st_size)
    assert verify("none", sample=0)["read"] == 0
    assert verify("seen", everything=True, method="presence")["seen"] == 1
    found = {"local": everything, "cloud": None}
    assert SummariseVerificationOperator(task_id="s", verified=found, only="local").execute({})["read"] == 1
    with pytest.raises(GateFailed, match=r"stores \['cloud'\] were not looked at to the end"):
        SummariseVerificationOperator(task_id="s", verified=found).execute({})


def test_a_run_about_another_store_is_skipped(footage_in: Path) -> None:
    with pytest.raises(AirflowSkipException, match="about store 'cloud'"):
        verify("a", only="cloud")


def test_footage_without_a_good_copy_fails_the_run(footage_in: Path) -> None:
    footage_in.write_bytes(b"rot")
    found = verify("all", everything=True)
    assert (found["wrong"], found["at_risk"]) == (1, 1)
    with pytest.raises(GateFailed, match="no verified copy in any store"):
        SummariseVerificationOperator(task_id="s", verified={"local": found}).execute({})
    with open_catalogue() as catalogue:
        assert catalogue.replicas.any_in("local")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [({"method": "md5"}, "method is 'md5'"), ({"start_time": "soon"}, "start_time 'soon'"),
     ({"sample": 101}, "sample is 101"), ({"camera": "shed"}, "unknown camera"),
     ({"start_time": "2026-03-02T00:00:00Z", "end_time": "2026-03-01T00:00:00Z"}, "start_time '2026-03-02")],
)  # fmt: skip
def test_wrong_fields_are_named(footage_in: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        verify("a", **options)


def test_a_camera_is_called_what_the_form_says(footage_in: Path) -> None:
    rendered = context("a")
    rendered["params"]["camera"] = "1_2"
    with pytest.raises(ConfigurationError, match="'1_2'"):
        VerifyStoreOperator(task_id="v", store="local", camera="12").execute(rendered)


def test_a_time_narrows_it(footage_in: Path) -> None:
    later = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=1)
    assert verify("a", everything=True, start_time=later.isoformat())["read"] == 0
    assert verify("b", everything=True, end_time=later.isoformat())["read"] == 1
