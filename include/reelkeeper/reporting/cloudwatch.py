"""An estate's metrics in Amazon CloudWatch: fewer than Prometheus gets, as each one costs money, and only what changed.

`CLOUD_METRICS` is the list of them. One with `counts` tells how much came since it was last published: CloudWatch sums.
The others tell how things stand, when that changed or an hour has passed since they last did, so that a chart of hours
has no gap.
"""

from collections.abc import Callable, Iterable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, Protocol

from reelkeeper.errors import CredentialsNotFound, MonitoringUnavailable, TransientError
from reelkeeper.model import ReplicaState
from reelkeeper.reporting import metric_events as events
from reelkeeper.reporting import metric_values as values
from reelkeeper.reporting.alarm_readings import REFUSALS
from reelkeeper.reporting.figures import Durations
from reelkeeper.reporting.metric_events import STORED_BY
from reelkeeper.reporting.metric_samples import Limits, Sample
from reelkeeper.reporting.rounds import Round
from reelkeeper.stores.s3_errors import boto3_refusal

MAX_BATCH_METRICS = 1000
MAX_BATCH_BYTES = 900_000
"""CloudWatch takes 1 MB in one call; headers and the action's own parameters are beside the metrics."""
REPEAT_AFTER = timedelta(minutes=55)
"""Less than an hour, which the fourth round after may miss by some milliseconds."""

_MISSES_METRICS = {
    "InvalidParameterCombination", "InvalidParameterValue", "MissingParameter", "MissingRequiredParameter",
    "ValidationError",
}  # fmt: skip
"""How CloudWatch may refuse a call that has no metrics in it, once it has let the caller in."""

Unit = Literal["Bytes", "Count", "Seconds", "Percent", "None"]
Published = MutableMapping[str, tuple[float, float]]
"""Each metric's last published value and when that was (seconds since 1970), by name and dimension's value."""


class PutsMetrics(Protocol):
    """What boto3's CloudWatch client can do."""

    def put_metric_data(self, *, Namespace: str, MetricData: list[dict[str, Any]]) -> Any: ...  # noqa: N803


@dataclass(frozen=True, slots=True)
class CloudMetric:
    """One metric. `read` gives its values, each with that of the dimension; without one, there is one value of ""."""

    name: str
    unit: Unit
    dimension: str | None
    counts: bool
    help: str
    read: Callable[[Round], Iterable[tuple[str, float]]]


def publish_to_cloudwatch(client: PutsMetrics, namespace: str, taken: Round, published: Published) -> int:
    """Publish what changed since `published`, which then has what was: after each call, so that a failure in the midst
    repeats nothing. How many values were published.

    AccessDenied, CredentialsNotFound; MonitoringUnavailable when CloudWatch does not answer or asks to slow down.
    """
    count = 0
    for batch in _batches(_changes(taken, published)):
        _put(client, namespace, [change.datum for change in batch])
        published.update({change.key: (change.value, taken.figures.now.timestamp()) for change in batch})
        count += len(batch)
    return count


def try_cloudwatch(client: PutsMetrics, namespace: str) -> None:
    """Put no metrics at all: CloudWatch lets us in, or says why not, and nothing comes to be there.

    Errors as of `publish_to_cloudwatch`.
    """
    from botocore.exceptions import ClientError

    with _cloudwatch_errors(namespace):
        try:
            client.put_metric_data(Namespace=namespace, MetricData=[])
        except ClientError as exc:
            if exc.response["Error"]["Code"] not in _MISSES_METRICS:
                raise


@dataclass(frozen=True, slots=True)
class _Change:
    key: str
    value: float  # to be remembered
    datum: dict[str, Any]


def _changes(taken: Round, published: Published) -> Iterator[_Change]:
    now = taken.figures.now.timestamp()
    for metric in CLOUD_METRICS:
        begins = metric.counts and metric.name not in published
        for label, value in metric.read(taken):
            key = f"{metric.name}|{label}"
            if begins:  # what was before the first round is no event of now
                published[key] = (value, now)
                continue
            before, at = published.get(key, (0.0, 0.0))
            told = value - before if metric.counts else value
            is_due = told > 0 if metric.counts else value != before or now - at >= REPEAT_AFTER.total_seconds()
            if not is_due:
                continue
            datum = {"MetricName": metric.name, "Timestamp": taken.figures.now, "Value": told, "Unit": metric.unit}
            if metric.dimension is not None:
                datum["Dimensions"] = [{"Name": metric.dimension, "Value": label}]
            yield _Change(key, value, datum)
        if begins:
            published[metric.name] = (0.0, now)


def _batches(changes: Iterable[_Change]) -> Iterator[list[_Change]]:
    batch: list[_Change] = []
    size = 0
    for change in changes:
        added = _most_bytes(change.datum)
        if batch and (len(batch) == MAX_BATCH_METRICS or size + added > MAX_BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(change)
        size += added
    if batch:
        yield batch


def _most_bytes(datum: dict[str, Any]) -> int:
    """What a value takes in a call at most: every byte of a text may become three, and names stand before each."""
    texts = [datum["MetricName"], *(text for pair in datum.get("Dimensions", ()) for text in pair.values())]
    return 400 + sum(100 + 3 * len(text.encode()) for text in texts)


def _put(client: PutsMetrics, namespace: str, data: list[dict[str, Any]]) -> None:
    with _cloudwatch_errors(namespace):
        client.put_metric_data(Namespace=namespace, MetricData=data)


@contextmanager
def _cloudwatch_errors(namespace: str) -> Iterator[None]:
    from botocore import exceptions as boto

    what = f"CloudWatch namespace {namespace!r}"
    try:
        yield
    except boto.ClientError as exc:
        error = boto3_refusal(exc).error("CloudWatch", "take metrics")
        kind = MonitoringUnavailable if isinstance(error, TransientError) else type(error)
        raise kind(f"{what} did not take metrics: {exc}") from exc
    except (boto.NoCredentialsError, boto.PartialCredentialsError, boto.CredentialRetrievalError) as exc:
        raise CredentialsNotFound(f"{what} did not take metrics: {exc}") from exc
    except (boto.HTTPClientError, boto.ConnectionError) as exc:
        raise MonitoringUnavailable(f"{what} cannot be reached: {exc}") from exc


# --- what is published ------------------------------------------------------------------------------------------------


def _summed(
    read: Callable[[Round, Limits], Iterable[Sample]],
    by: int | None = None,
    only: Callable[[tuple[str, ...]], bool] = lambda labels: True,
    number: Callable[[float | Durations], float] = lambda value: value.count if isinstance(value, Durations) else value,
) -> Callable[[Round], Iterable[tuple[str, float]]]:
    """A metric of Prometheus, summed: all of it, or by the label that stands at `by`."""

    def read_sums(taken: Round) -> Iterable[tuple[str, float]]:
        sums: dict[str, float] = {}
        for labels, value in read(taken, _NO_LIMITS):
            if only(labels):
                key = "" if by is None else labels[by]
                sums[key] = sums.get(key, 0.0) + number(value)
        return sums.items()

    return read_sums


def _seconds(value: float | Durations) -> float:
    return value.seconds if isinstance(value, Durations) else value


def _is_put(labels: tuple[str, ...]) -> bool:
    return labels[0] in STORED_BY


def _is_upload(labels: tuple[str, ...]) -> bool:
    """One of those that alarms and the rollout are judged by: `Rollout.measure`."""
    return labels[0] in ("ingest", "migrate")


def _oldest_look(taken: Round) -> Iterator[tuple[str, float]]:
    """Nothing while there is a store that nobody has looked at."""
    ages = [_seconds(age) for _, age in values.look_ages(taken, _NO_LIMITS)]
    if len(ages) == len(taken.figures.stores):
        yield "", max(ages)


_NO_LIMITS = Limits(cameras=0, tenants=0)  # nothing here is by camera or tenant
CLOUD_METRICS: tuple[CloudMetric, ...] = (
    CloudMetric("TotalStorageSize", "Bytes", None, False, "Bytes of footage in all stores.",
                _summed(values.bytes_used)),
    CloudMetric("TotalStorageSize", "Bytes", "Store", False, "Bytes of footage in the store.",
                _summed(values.bytes_used, by=0)),
    CloudMetric("FileCount", "Count", None, False, "Copies of segments in all stores.",
                _summed(values.replicas, only=lambda labels: labels[1] != ReplicaState.LOST)),
    CloudMetric("FileCount", "Count", "Store", False, "Copies of segments in the store.",
                _summed(values.replicas, by=0, only=lambda labels: labels[1] != ReplicaState.LOST)),
    CloudMetric("DoubtfulFiles", "Count", "Store", False, "Copies that are suspicious or lost.",
                _summed(values.replicas, by=0,
                        only=lambda labels: labels[1] in (ReplicaState.SUSPICIOUS, ReplicaState.LOST))),
    CloudMetric("UnprotectedSegments", "Count", None, False, "Segments without any available copy.",
                _summed(values.unprotected_segments)),
    CloudMetric("FilesStored", "Count", "Store", True, "Copies that were put into the store and verified.",
                _summed(events.segments_stored, by=0)),
    CloudMetric("BytesStored", "Bytes", "Store", True, "Bytes of those copies.",
                _summed(events.transfer_bytes, by=1, only=_is_put)),
    CloudMetric("Uploads", "Count", "Store", True,
                "Copies that were put into the store by ingest or migration: FilesStored without repairs.",
                _summed(events.transfers, by=1, only=lambda labels: _is_upload(labels) and labels[2] == "succeeded")),
    CloudMetric("UploadSeconds", "Seconds", "Store", True,
                "Time that those uploads took, one after another; divided by Uploads, the mean time of one.",
                _summed(events.transfer_durations, by=1,
                        only=lambda labels: _is_upload(labels) and labels[2] == "succeeded", number=_seconds)),
    CloudMetric("UploadFailures", "Count", "Store", True,
                "Tries to upload that failed, but for a source that was not as recorded.",
                _summed(events.transfer_failures, by=1,
                        only=lambda labels: _is_upload(labels) and labels[2] != "source_corrupted")),
    CloudMetric("AccessDenied", "Count", "Store", True,
                "Tries that the store refused for our credentials or their rights.",
                _summed(events.transfer_failures, by=1, only=lambda labels: labels[2] in REFUSALS)),
    CloudMetric("FilesRetrieved", "Count", "Store", True, "Segments that were read for somebody.",
                _summed(events.segments_retrieved, by=0)),
    CloudMetric("BytesRetrieved", "Bytes", "Store", True, "Bytes of those segments.",
                _summed(events.retrieved_bytes, by=0)),
    CloudMetric("Downloads", "Count", "Store", True,
                "Segments that exports read: FilesRetrieved without what was read elsewhere.",
                _summed(events.retrieval_durations, by=0)),
    CloudMetric("DownloadSeconds", "Seconds", "Store", True,
                "Time that those downloads took, one after another; divided by Downloads, the mean time of one.",
                _summed(events.retrieval_durations, by=0, number=_seconds)),
    CloudMetric("DownloadFailures", "Count", "Store", True, "Segments that an export could not read from the store.",
                _summed(events.retrieval_failures, by=0)),
    CloudMetric("FilesDeleted", "Count", "Store", True, "Copies of segments that were deleted.",
                _summed(events.segments_deleted, by=0)),
    CloudMetric("ExportsEnded", "Count", "Status", True, "Exports that ended so.",
                _summed(events.export_durations, by=0)),
    CloudMetric("Orphans", "Count", "Store", False, "Objects that no row knows, where they were found.",
                _summed(values.orphans, by=0)),
    CloudMetric("StoreUp", "Count", "Store", False, "1: the store answers and is ours. 0: it does not, or is not.",
                _summed(values.store_up, by=0)),
    CloudMetric("OldestLookAge", "Seconds", None, False,
                "Time since the store was looked at that was looked at longest ago; told in each round, and not at all "
                "while there is a store that nobody has looked at.", _oldest_look),
    CloudMetric("AlarmsJudgedAge", "Seconds", None, False,
                "Time since alarms were last judged; told in each round, and not at all while they never were.",
                _summed(values.alarms_judged_age)),
    CloudMetric("RolloutPercentage", "Percent", None, False, "Share of the segments that goes to the cloud.",
                _summed(values.rollout_ratio, number=lambda value: 100 * _seconds(value))),
    CloudMetric("UnmigratedSegments", "Count", None, False, "Segments that are wanted in the cloud and not there.",
                _summed(values.unmigrated)),
    CloudMetric("OldestUnmigratedAge", "Seconds", None, False, "Time since the start of the oldest of them.",
                _summed(values.oldest_unmigrated_age)),
    CloudMetric("OldestUnverifiedAge", "Seconds", None, False, "Time since the longest unproved copy was proved.",
                _summed(values.oldest_unverified_age)),
    CloudMetric("QueuedItems", "Count", "Job", False, "Items of work lists that wait for a worker.",
                _summed(values.queued, by=0)),
    CloudMetric("SilentCameras", "Count", None, False, "Cameras from which no footage came for too long.",
                _summed(values.silent_cameras)),
    CloudMetric("MonthlyCost", "None", None, False, "What the holdings cost in a month, in US dollars.",
                _summed(values.monthly_cost)),
    CloudMetric("ForecastMonthlyCost", "None", None, False, "What they will cost in a month, 30 days from now.",
                _summed(values.forecast_cost, only=lambda labels: labels[0] == "in_30_days")),
    CloudMetric("AlarmsUp", "Count", "Alarm", False, "Subjects (stores, cameras) for which the alarm fires.",
                _summed(values.alarms, by=0, only=lambda labels: labels[1] in ("firing", "acknowledged"))),
)  # fmt: skip
