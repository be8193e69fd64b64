"""generate_export as a whole, by `dag.test()`: asked for by conf, proved, opened by who may; no secret is left."""

import asyncio
import json
import shutil
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import HTTPException

from demo.segments import ingested
from demo.servers import S3Server
from reelkeeper.catalogue.export_records import Export
from reelkeeper.estate_setup import set_up_store
from reelkeeper.exporting.job import tell_restoring
from reelkeeper.media.signing import Signer
from reelkeeper.media.verification import verify
from reelkeeper.model import (
    BatchId,
    Camera,
    Segment,
    StoreName,
    Tenant,
    Tier,
    camera_id,
)
from reelkeeper.stores.body import Body
from reelkeeper.stores.protocols import WriteOptions
from reelkeeper_airflow.dag_index import read_dags
from reelkeeper_airflow.estate import open_catalogue, open_store
from reelkeeper_airflow.hooks.catalogue import CatalogueHook

ROOT = Path(__file__).parents[2]
START = datetime(2026, 3, 1, 10, tzinfo=UTC)
SIGNER = Signer.create()
pytestmark = [
    pytest.mark.usefixtures("airflow_database"),
    # dag.test() is Airflow's own code: what it warns of is not ours to cure.
    pytest.mark.filterwarnings("default"),
]


@pytest.fixture(autouse=True)
def signing_key(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = {"conn_type": "reelkeeper_key", "password": SIGNER.private_pem()}
    monkeypatch.setenv("AIRFLOW_CONN_REELKEEPER_SIGNING", json.dumps(connection))
    monkeypatch.setenv("AIRFLOW__API__SECRET_KEY", "a secret of thirty-two characters")


def record(footage: Any, camera: str, store: str, *, storage_class: str | None = None) -> Segment:
    """Two seconds of a camera at START, in one store."""
    owner = Camera(camera_id(Tenant("acme"), camera), Tenant("acme"), camera, camera.title())
    body = Body.of_bytes(footage.mp4.read_bytes())
    made = ingested(
        owner, START, timedelta(seconds=2), store=StoreName(store), size_bytes=body.size_bytes, checksum=body.sha256,
        storage_class=storage_class, tier=Tier.ARCHIVE if storage_class else Tier.HOT,
    )  # fmt: skip
    open_store(store).write(made.replica.path, body, WriteOptions(storage_class=storage_class))
    with open_catalogue() as catalogue:
        catalogue.cameras.register([owner])
        catalogue.segments.record(BatchId(uuid4()), [made])
    return made.segment


def set_up(*stores: str) -> None:
    with open_catalogue() as catalogue:
        for name in stores:
            set_up_store(open_store(name), catalogue)


def run(cameras: Sequence[str], **conf: Any) -> Any:
    [dag] = [dag for dag in read_dags(ROOT / "dags") if dag.dag_id == "generate_export"]
    asked = {
        "camera_ids": list(cameras), "start_time": "2026-03-01T10:00:00.300Z", "end_time": "2026-03-01T10:00:01.500Z",
        "reason": "incident 42", "created_by": "ann",
    }  # fmt: skip
    return dag.test(logical_date=None, run_conf=asked | conf)


def states(dag_run: Any) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    for task in dag_run.get_task_instances():
        found.setdefault(task.task_id, Counter())[str(task.state)] += 1
    return found


def xcoms(dag_run: Any) -> dict[tuple[str, str], Any]:
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    with create_session() as session:
        rows = session.query(XComModel).filter(XComModel.run_id == dag_run.run_id).all()
        return {(row.task_id, row.key): row.value for row in rows}


def export_of(dag_run: Any) -> Export:
    from reelkeeper.exporting.job import export_id

    with open_catalogue() as catalogue:
        found = catalogue.exports.get(export_id(dag_run.run_id))
    assert found is not None
    return found


def opened(url: str) -> bytes:
    return httpx.get(url, trust_env=False).raise_for_status().content


def test_a_mosaic_of_two_cameras(
    estate: Path, footage: Any, seaweedfs: S3Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from reelkeeper_airflow.api import exports as api

    set_up("local", "cloud")
    record(footage, "gate", "local")
    record(footage, "yard", "cloud")
    done = run(["gate", "yard"], layout="mosaic", burn_in_time=True)
    seen = states(done)
    assert str(done.state) == "success"
    assert (seen["cut"], seen["compose"], seen["deliver"], seen["conclude"]) == (
        Counter(success=2), Counter(success=1), Counter(success=1), Counter(success=1)
    )  # fmt: skip
    export = export_of(done)
    assert (export.status, export.progress, export.store) == ("COMPLETED", 100, "cloud")
    assert export.download_url is not None
    assert export.download_url.endswith(f"/reelkeeper/exports/{export.id}/download")

    left_behind = json.dumps({str(key): value for key, value in xcoms(done).items()}, default=str) + caplog.text
    for secret in (seaweedfs.secret_key, "X-Amz-Signature", "PRIVATE KEY"):
        assert secret not in left_behind

    told = json.loads(api.read_export(export.id, request({"accept": "application/json"})).body)
    assert (told["status"], told["file_hash"]) == ("COMPLETED", export.file_hash)
    folder = tmp_path / "downloaded"
    folder.mkdir()
    for file in told["files"]:
        answer = api.read_export_file(export.id, file["name"])
        url = answer.headers["location"]
        assert int(parse_qs(urlsplit(url).query)["X-Amz-Expires"][0]) <= 3600
        (folder / file["name"]).write_bytes(opened(url))
    main = (folder / told["files"][0]["name"]).read_bytes()
    assert opened(api.download_export(export.id).headers["location"]) == main
    assert verify(folder / "manifest.json", [SIGNER.public_key]).is_genuine
    page = api.read_export(export.id, request({"accept": "text/html"}))
    assert all(file["name"] in page.body.decode() for file in told["files"])

    again = run(["gate", "yard"], layout="mosaic", burn_in_time=True, export_id=str(export.id))
    assert states(again)["accept"] == Counter(success=1)
    assert states(again)["cut"] == states(again)["deliver"] == Counter(skipped=1)
    with open_catalogue() as catalogue:
        read = catalogue.tallies.retrievals()
    assert [(each.store, each.outcome, each.segments, each.durations.count) for each in read] == [
        ("cloud", "succeeded", 1, 1), ("local", "succeeded", 1, 1)
    ]  # fmt: skip
    assert all(each.durations.seconds > 0 for each in read)


def request(headers: dict[str, str]) -> Any:
    from starlette.requests import Request

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "headers": raw})


def test_an_archived_segment_is_restored_first(
    estate: Path, estate_file: Path, footage: Any, moto: S3Server, bucket_name: str, monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:  # fmt: skip
    from reelkeeper_airflow.api import exports as api

    connection = {"conn_type": "aws", "login": moto.access_key, "password": moto.secret_key,
                  "extra": {"region_name": moto.region, "endpoint_url": moto.endpoint_url}}  # fmt: skip
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
    text = estate_file.read_text().replace('kind = "minio"', 'kind = "s3"')
    estate_file.write_text(text.replace('mode = "hybrid"', 'mode = "hybrid"\nexport_store = "local"'))
    set_up("local", "cloud")
    record(footage, "gate", "cloud", storage_class="GLACIER")
    progress = []

    def telling(catalogue: Any, identity: Any, waiting: str, *, now: datetime) -> None:
        tell_restoring(catalogue, identity, waiting, now=now)
        progress.append(catalogue.exports.get(identity).progress)
        set_restores("requested")  # as they are for hours with a real store
        told = json.loads(api.read_export(identity, request({})).body)
        assert (told["status"], told["restoring"]) == ("PENDING", {"readable": 0, "waited_for": 1})
        page = api.read_export(identity, request({"accept": "text/html"})).body.decode()
        assert "It waits for 1 segment to come back from the archive." in page
        set_restores("readable")

    monkeypatch.setattr("reelkeeper.exporting.job.tell_restoring", telling)
    done = run(["gate"], restore_speed="expedited")
    assert progress[-1] == 5  # percent: all that was archived can be read
    seen = states(done)
    assert str(done.state) == "success", seen
    assert seen["restore.from_cloud"] == seen["restore.readable"] == seen["cut"] == Counter(success=1)
    export = export_of(done)
    assert (export.status, export.store) == ("COMPLETED", "local")
    url = api.download_export(export.id).headers["location"]  # a link of our own
    answer = asyncio.run(served(url))
    assert (answer.status_code, len(answer.content)) == (200, export.file_size)
    for before_the_end in (timedelta(seconds=0.9), timedelta(0), timedelta(days=-1)):
        monkeypatch.setattr("reelkeeper_airflow.api.exports.datetime", clock_at(export.expires_at - before_the_end))
        with pytest.raises(HTTPException, match="expired at") as gone:
            api.download_export(export.id)
        assert gone.value.status_code == 404


def set_restores(state: str) -> None:
    with closing(CatalogueHook().get_conn()) as connection, connection, connection.cursor() as cursor:
        cursor.execute("UPDATE reelkeeper.restores SET state = %s", (state,))
        assert cursor.rowcount == 1


def clock_at(moment: datetime) -> type[datetime]:
    """A clock that stands."""

    class Standing(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            return moment.astimezone(tz)

    return Standing


async def served(url: str) -> httpx.Response:
    from reelkeeper_airflow.api.app import app

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://airflow") as client:
        parts = urlsplit(url)
        return await client.get(f"{parts.path.removeprefix('/reelkeeper')}?{parts.query}")


def test_what_is_refused_or_fails_says_so_in_its_row_and_holds_nothing(estate: Path, footage: Any) -> None:
    set_up("local", "cloud")
    segment = record(footage, "gate", "local")
    refused = run(["gate"], end_time="2026-03-01T09:00:00Z")
    assert str(refused.state) == "failed"
    assert states(refused)["accept"] == Counter(failed=1)
    export = export_of(refused)
    assert (export.status, export.failure_code) == ("FAILED", "request_refused")
    assert export.failure is not None
    assert "end_time is '2026-03-01T09:00:00Z': expected a time after start_time" in export.failure

    shutil.copy(footage.mkv, next((estate / "footage").rglob(f"*{segment.id}*")))
    failed = run(["gate"])
    seen = states(failed)
    assert str(failed.state) == "failed"
    assert (seen["cut"], seen["compose"], seen["conclude"]) == (
        Counter(failed=1), Counter(upstream_failed=1), Counter(success=1)
    )  # fmt: skip
    export = export_of(failed)
    assert (export.status, export.failure_code) == ("FAILED", "source_corrupted")
    assert str(export.failure).startswith("camera 'gate' could not be cut: ")
    with open_catalogue() as catalogue:
        assert catalogue.locks.on([segment.id], [segment.camera_id], now=datetime.now(UTC)) == []
        assert catalogue.exports.files(export.id) == []


def test_there_is_no_export_of_an_id_that_nobody_gave(estate: Path) -> None:
    from reelkeeper_airflow.api import exports as api

    for ask in (api.download_export, lambda export: api.read_export_file(export, "gate.mp4")):
        with pytest.raises(HTTPException) as refused:
            ask(UUID(int=0))
        assert refused.value.status_code == 404
