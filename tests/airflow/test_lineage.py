"""What operators tell OpenLineage, as its own client writes it."""

import json
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from reelkeeper_airflow.lineage import Objects, Table, TellsLineage, Zone
from reelkeeper_airflow.operators.minio import MinioTransferBatchOperator
from reelkeeper_airflow.operators.verify import VerifyStoreOperator

pytestmark = pytest.mark.servers  # needs none, but seconds for the provider's imports: no fast one
CATALOGUE = {"conn_type": "postgres", "host": "db", "login": "u", "password": "s3cret-of-the-catalogue", "schema": "rk"}


@pytest.fixture(autouse=True)
def _estate(estate_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_REELKEEPER_CATALOGUE", json.dumps(CATALOGUE))


class Mover(TellsLineage):
    """Does what an operator does."""

    def execute(self) -> None:
        self.touched(
            read=[Zone("recorders", 3, 900)],
            wrote=[Objects("local", objects=3, size_bytes=900), Objects("cloud", "exports/"), Table("replicas", 3)],
        )


def told(operator: TellsLineage) -> tuple[dict[tuple[str, str], Any], dict[tuple[str, str], Any]]:
    """Inputs and outputs by name, with their numbers, as the client would send them."""
    from openlineage.client.serde import Serde

    lineage = operator.get_openlineage_facets_on_complete(None)
    sent = [[json.loads(Serde.to_json(dataset)) for dataset in side] for side in (lineage.inputs, lineage.outputs)]
    facets = ("inputFacets", "inputStatistics"), ("outputFacets", "outputStatistics")
    inputs, outputs = (
        {
            (dataset["namespace"], dataset["name"]): {
                name: value for name, value in dataset[kind][facet].items() if not name.startswith("_")
            }
            for dataset in side
        }
        for side, (kind, facet) in zip(sent, facets, strict=True)
    )
    return inputs, outputs


def test_what_was_read_and_written_is_told_by_name_with_its_numbers(estate_file: Path) -> None:
    mover = Mover()
    assert told(mover) == ({}, {})
    mover.execute()
    inputs, outputs = told(mover)
    assert inputs == {("file", f"{estate_file.parent}/landing"): {"fileCount": 3, "size": 900}}
    assert outputs == {
        ("file", f"{estate_file.parent}/footage/media"): {"fileCount": 3, "size": 900},
        ("s3://test-bucket", "exports"): {},
        ("postgres://db:5432", "rk.reelkeeper.replicas"): {"rowCount": 3},
    }


def test_a_task_that_did_not_end_tells_what_its_arguments_say() -> None:
    transfer = MinioTransferBatchOperator(task_id="t", store="cloud", minio_conn_id="minio_default", batch_id="b")
    assert set(told(transfer)[1]) == {("s3://test-bucket", "media"), ("postgres://db:5432", "rk.reelkeeper.replicas")}
    verify = VerifyStoreOperator(task_id="v", store="cloud")
    assert verify.get_openlineage_facets_on_start().inputs[0].namespace == "s3://test-bucket"


def test_nothing_secret_is_told() -> None:
    mover = Mover()
    mover.execute()
    assert CATALOGUE["password"] not in repr(mover.get_openlineage_facets_on_complete(None))


def test_every_table_that_is_told_of_exists() -> None:
    root = Path(__file__).parents[2]
    sources = "".join(path.read_text() for path in (root / "plugins/reelkeeper_airflow").rglob("*.py"))
    told_of = set(re.findall(r'\bTable\("(\w+)"', sources))
    schema = "".join(path.read_text() for path in (root / "sql/migrations").glob("*.sql"))
    assert {"segments", "replicas", "deletions", "exports"} <= told_of
    assert told_of <= set(re.findall(r"CREATE TABLE (\w+)", schema))


def test_every_operator_that_moves_judges_or_ends_footage_tells() -> None:
    operators = Path(__file__).parents[2] / "plugins/reelkeeper_airflow/operators"
    telling = {
        name
        for path in operators.glob("[a-z]*.py")
        for name, found in vars(import_module(f"reelkeeper_airflow.operators.{path.stem}")).items()
        if isinstance(found, type) and issubclass(found, TellsLineage)
    }
    assert telling >= {
        "IngestBatchOperator", "ThumbnailBatchOperator", "CheckIngestedOperator", "TransferBatchOperator",
        "VerifyBatchOperator", "TierBatchOperator", "RestoreOperator", "CutCameraOperator", "ComposeExportOperator",
        "DeliverExportOperator", "ReconcileStoreOperator", "QuarantineOrphansOperator", "CondemnOperator",
        "DeleteCondemnedOperator", "ExpireExportsOperator", "VerifyStoreOperator", "CheckCatalogueOperator",
        "WriteReportOperator", *(f"{kind}TransferBatchOperator" for kind in ("Filesystem", "GCS", "Minio", "S3")),
    }  # fmt: skip
