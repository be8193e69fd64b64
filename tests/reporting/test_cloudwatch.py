"""CloudWatch: what is put there is read back from a server that keeps it, and no call is larger than it may be."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.config import Config

from demo.servers import S3Server
from reelkeeper.errors import AccessDenied, MonitoringUnavailable, PermanentError
from reelkeeper.model import StoreName
from reelkeeper.reporting import cloudwatch
from reelkeeper.reporting.cloudwatch import (
    CLOUD_METRICS,
    MAX_BATCH_METRICS,
    Published,
    publish_to_cloudwatch,
    try_cloudwatch,
)
from reelkeeper.reporting.figures import RetrievalTotals, TransferTotals
from reelkeeper.reporting.rounds import Round
from tests.reporting.hand_made import CLOUD, LOCAL, NOW, lasted, taken

LATER = NOW + timedelta(minutes=15)
OF_NO_STORE = (
    TransferTotals("repair", LOCAL, "failed", "store_timeout", False, 0, lasted(9.0)),
    TransferTotals("migrate", CLOUD, "failed", "source_corrupted", False, 0, lasted(0.5)),
    TransferTotals("tier", CLOUD, "failed", "store_timeout", False, 0, lasted(0.5)),
)
"""Failures that say nothing of how uploads to a store go, to the alarms as to the rollout."""


class Recorder:
    """A client that keeps what it is given; `fails` is raised at the call of that number, from 1."""

    def __init__(self, fails_at: int = 0, error: Exception | None = None) -> None:
        self.calls: list[list[dict[str, Any]]] = []
        self._fails_at, self._error = fails_at, error

    def put_metric_data(self, *, Namespace: str, MetricData: list[dict[str, Any]]) -> None:  # noqa: N803
        self.calls.append(MetricData)
        if self._error is not None and len(self.calls) == self._fails_at:
            raise self._error

    def told(self) -> dict[tuple[str, str], float]:
        """What came, by name and dimension's value."""
        return {
            (datum["MetricName"], datum["Dimensions"][0]["Value"] if "Dimensions" in datum else ""): datum["Value"]
            for call in self.calls
            for datum in call
        }


def client_of(server: S3Server, **options: Any) -> Any:
    return boto3.client("cloudwatch", endpoint_url=server.endpoint_url, region_name="us-east-1",
                        aws_access_key_id="key", aws_secret_access_key="secret", config=Config(**options))  # fmt: skip


def publish(what: Round, published: Published) -> dict[tuple[str, str], float]:
    client = Recorder()
    publish_to_cloudwatch(client, "Test", what, published)
    return client.told()


def moved_on(what: Round) -> Round:
    """A quarter of an hour later: two more files in the cloud, one more refusal; one more was read of which it is known
    how long it took, one of which it is not, and one could not be."""
    figures = what.figures
    usage = tuple(replace(use, replicas=use.replicas + 2, size_bytes=use.size_bytes + 300)
                  if use.store == CLOUD and use.tier == "COOL" else use for use in figures.usage)  # fmt: skip
    more = (
        TransferTotals("migrate", CLOUD, "succeeded", None, False, 300, lasted(2.0, 4.0)),
        TransferTotals("migrate", CLOUD, "failed", "access_denied", False, 0, lasted(0.5)),
        TransferTotals("ingest", LOCAL, "failed", "access_denied", False, 0, lasted(0.5)),
        *OF_NO_STORE,
    )
    read = (
        RetrievalTotals(CLOUD, "succeeded", None, 2, 70, lasted(1.5)),
        RetrievalTotals(CLOUD, "failed", "store_timeout", 1, 35, lasted(8.0)),
    )
    return replace(what, figures=replace(
        figures, now=LATER, usage=usage, transfers=figures.transfers + more, retrievals=figures.retrievals + read
    ))  # fmt: skip


def test_a_server_keeps_what_was_published(moto: S3Server) -> None:
    client, namespace = client_of(moto), f"Test/{uuid4().hex}"
    now = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=20)
    published: Published = {}
    first = replace(taken(), figures=replace(taken().figures, now=now))
    publish_to_cloudwatch(client, namespace, first, published)
    second = moved_on(first)
    publish_to_cloudwatch(
        client, namespace, replace(second, figures=replace(second.figures, now=now + timedelta(minutes=15))), published
    )

    def kept(name: str, statistic: str, store: str | None = None) -> list[float]:
        found = client.get_metric_statistics(
            Namespace=namespace, MetricName=name, StartTime=now - timedelta(minutes=5),
            EndTime=now + timedelta(minutes=30), Period=60, Statistics=[statistic],
            Dimensions=[{"Name": "Store", "Value": store}] if store else [],
        )["Datapoints"]  # fmt: skip
        assert {point["Unit"] for point in found} <= {"Bytes", "Count", "Seconds", "Percent"}
        return [point[statistic] for point in sorted(found, key=lambda point: point["Timestamp"])]

    assert kept("TotalStorageSize", "Maximum", "cloud") == [540, 840]
    assert kept("TotalStorageSize", "Maximum", "local") == [1200]  # it did not change
    assert kept("FileCount", "Maximum", "cloud") == [6, 8]
    assert kept("FilesStored", "Sum", "cloud") == [2]  # nothing is counted in the first round
    assert kept("UploadSeconds", "Sum", "cloud") == [6]
    assert kept("AccessDenied", "Sum", "cloud") == [1]
    assert kept("DownloadSeconds", "Sum", "cloud") == [1.5]
    listed = client.list_metrics(Namespace=namespace)["Metrics"]
    assert {metric["MetricName"] for metric in listed} <= {metric.name for metric in CLOUD_METRICS}


def test_only_what_changed_is_told_again() -> None:
    published: Published = {}
    first = publish(taken(), published)
    assert first["TotalStorageSize", ""] == 1740
    assert first["TotalStorageSize", "local"] == 1200
    assert first["FileCount", ""] == 18
    assert first["DoubtfulFiles", "local"] == 1
    assert first["RolloutPercentage", ""] == 25
    assert first["ForecastMonthlyCost", ""] == 14
    assert first["StoreUp", "cloud"] == 0
    assert first["AlarmsUp", "store_unreachable"] == 1
    assert not {name for name, _ in first} & {metric.name for metric in CLOUD_METRICS if metric.counts}
    assert publish(taken(), published) == {}
    second = publish(moved_on(taken()), published)
    assert second == {
        ("TotalStorageSize", ""): 2040, ("TotalStorageSize", "cloud"): 840, ("FileCount", ""): 20,
        ("FileCount", "cloud"): 8, ("FilesStored", "cloud"): 2, ("BytesStored", "cloud"): 300,
        ("Uploads", "cloud"): 2,
        ("UploadSeconds", "cloud"): 6, ("UploadFailures", "cloud"): 1, ("UploadFailures", "local"): 1,
        ("AccessDenied", "cloud"): 1, ("AccessDenied", "local"): 1,  # the first there ever was
        ("FilesRetrieved", "cloud"): 2, ("BytesRetrieved", "cloud"): 70, ("Downloads", "cloud"): 1,
        ("DownloadSeconds", "cloud"): 1.5, ("DownloadFailures", "cloud"): 1,
        ("OldestUnmigratedAge", ""): 2 * 3600 + 900, ("OldestUnverifiedAge", ""): 3 * 86_400 + 900,
        ("OldestLookAge", ""): 930, ("AlarmsJudgedAge", ""): 1020,
    }  # fmt: skip
    repaired = replace(taken(), figures=replace(taken().figures, now=LATER, transfers=(
        *taken().figures.transfers, TransferTotals("repair", CLOUD, "succeeded", None, False, 0, lasted(9.0)))
    ))  # fmt: skip
    published = {}
    publish(taken(), published)
    told = publish(repaired, published)
    assert {name: value for (name, _), value in told.items() if not name.endswith("Age")} == {"FilesStored": 1}


def test_what_stands_still_is_told_once_an_hour() -> None:
    """Also where rounds start a little early: the fourth is the next hour's."""
    published: Published = {}
    told = []
    for quarter in range(9):
        now = NOW + quarter * timedelta(minutes=15) - quarter * timedelta(milliseconds=20)
        at = replace(taken(), figures=replace(taken().figures, now=now))
        told.append(("TotalStorageSize", "local") in publish(at, published))
    assert told == [True, False, False, False, True, False, False, False, True]


def test_every_round_tells_how_long_ago_stores_were_looked_at_unless_one_never_was() -> None:
    published: Published = {}
    for seconds in (0, 900, 1800):
        at = replace(taken(), figures=replace(taken().figures, now=NOW + timedelta(seconds=seconds)))
        assert publish(at, published)["OldestLookAge", ""] == seconds + 30
    local, cloud = taken().figures.stores
    never = replace(taken(), figures=replace(taken().figures, stores=(local, replace(cloud, looked_at=None))))
    assert ("OldestLookAge", "") not in publish(never, {})


def test_every_round_tells_how_long_ago_alarms_were_judged_unless_they_never_were() -> None:
    published: Published = {}
    for seconds in (0, 900, 1800):
        at = replace(taken(), figures=replace(taken().figures, now=NOW + timedelta(seconds=seconds)))
        assert publish(at, published)["AlarmsJudgedAge", ""] == seconds + 120
    assert ("AlarmsJudgedAge", "") not in publish(replace(taken(), alarms_judged_at=None), {})


def test_what_was_published_outlives_its_process_as_json() -> None:
    published: Published = {}
    publish(taken(), published)
    again: Published = {key: tuple(value) for key, value in json.loads(json.dumps(dict(published))).items()}
    assert publish(taken(), again) == {}


def many_stores(number: int, length: int = 8) -> Round:
    what = taken()
    names = [StoreName(f"s{index}".ljust(length, "ü")) for index in range(number)]
    stores = tuple(replace(what.figures.stores[1], name=name, monthly_usd=None) for name in names)
    return replace(what, figures=replace(what.figures, stores=stores, transfers=(), retrievals=(), deletions=()))


def test_no_call_has_more_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Recorder()
    count = publish_to_cloudwatch(client, "Test", many_stores(500), {})
    assert count == sum(len(call) for call in client.calls) > 2 * MAX_BATCH_METRICS
    assert [len(call) for call in client.calls[:-1]] == [MAX_BATCH_METRICS] * (len(client.calls) - 1)


@pytest.mark.parametrize("length", [8, 40, 200])
def test_no_call_is_larger_than_it_may_be(length: int) -> None:
    sizes: list[int] = []
    client = client_of(
        S3Server("http://127.0.0.1:9", "key", "secret", "us-east-1"),
        retries={"total_max_attempts": 1}, disable_request_compression=True,
    )  # fmt: skip

    def measure(request: Any, **others: Any) -> Any:
        sizes.append(len(request.body))
        raise Measured

    class Measured(Exception):
        pass

    client.meta.events.register("before-send.cloudwatch.*", measure)
    for batch in cloudwatch._batches(cloudwatch._changes(many_stores(300, length), {})):
        with pytest.raises(Measured):
            client.put_metric_data(Namespace="Test", MetricData=[change.datum for change in batch])
    assert len(sizes) >= 2
    assert max(sizes) < 1_000_000


def refused(code: str, status: int) -> Exception:
    from botocore.exceptions import ClientError

    return ClientError(
        {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}, "PutMetricData"
    )


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (lambda: refused("AccessDenied", 403), AccessDenied),
        (lambda: refused("Throttling", 400), MonitoringUnavailable),
        (lambda: refused("InternalFailure", 500), MonitoringUnavailable),
    ],
)
def test_a_refusal_is_an_error_of_ours(error: Callable[[], Exception], expected: type[Exception]) -> None:
    with pytest.raises(expected, match="CloudWatch namespace 'Test' did not take metrics"):
        publish_to_cloudwatch(Recorder(1, error()), "Test", taken(), {})


@pytest.mark.parametrize("code", ["MissingParameter", "ValidationError"])
def test_a_try_that_is_let_in_is_well(code: str) -> None:
    client = Recorder(1, refused(code, 400))
    try_cloudwatch(client, "Test")
    assert client.calls == [[]]
    with pytest.raises(AccessDenied, match="did not take metrics"):
        try_cloudwatch(Recorder(1, refused("AccessDenied", 403)), "Test")
    with pytest.raises(PermanentError, match="did not take metrics"):  # a code that we do not know
        try_cloudwatch(Recorder(1, refused("UnrecognizedClientException", 400)), "Test")


def test_a_try_leaves_nothing_behind(moto: S3Server) -> None:
    namespace = f"Try {uuid4()}"
    try_cloudwatch(client_of(moto), namespace)
    assert client_of(moto).list_metrics(Namespace=namespace)["Metrics"] == []


def test_a_server_that_is_not_there() -> None:
    client = client_of(S3Server("http://127.0.0.1:9", "key", "secret", "us-east-1"), retries={"total_max_attempts": 1})
    with pytest.raises(MonitoringUnavailable, match="cannot be reached"):
        publish_to_cloudwatch(client, "Test", taken(), {})


def test_what_came_before_a_failure_is_not_told_again() -> None:
    what, published = many_stores(500), {}
    broken = Recorder(2, refused("Throttling", 400))
    with pytest.raises(MonitoringUnavailable):
        publish_to_cloudwatch(broken, "Test", what, published)
    again = Recorder()
    publish_to_cloudwatch(again, "Test", what, published)
    told = {**Recorder.told(again)}
    first = {(datum["MetricName"], datum.get("Dimensions", [{"Value": ""}])[0]["Value"]) for datum in broken.calls[0]}
    assert len(first) == MAX_BATCH_METRICS
    assert not first & {*told}
    assert publish(what, published) == {}
