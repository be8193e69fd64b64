"""An estate's metrics: each one's name, labels and meaning, and how it is read off a round's figures.

`METRICS` is the one list of them, from which Prometheus and docs/metrics.md are served. Counters count since ever,
from history in the catalogue. Values of labels are bounded: cameras and tenants beyond the limits are one, "other", and
so are errors that are not ours by name.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from reelkeeper.reporting import metric_events as events
from reelkeeper.reporting import metric_values as values
from reelkeeper.reporting.figures import LATENCY_BOUNDS, Durations
from reelkeeper.reporting.metric_samples import Limits, Sample
from reelkeeper.reporting.rounds import Round

Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. `read` gives its values, each with those of the labels, in their order.

    No label is named `job` or `instance`: Prometheus and the Pushgateway put their own of these names on every series.
    """

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str
    read: Callable[[Round, Limits], Iterable[Sample]]

    def family(self, taken: Round, limits: Limits) -> Family:
        """Its values as Prometheus' client has them."""
        if self.kind == "counter":
            counter = CounterMetricFamily(self.name, self.help, labels=self.labels)
            for labels, value in self.read(taken, limits):
                counter.add_metric(labels, _number(value))
            return counter
        if self.kind == "gauge":
            gauge = GaugeMetricFamily(self.name, self.help, labels=self.labels)
            for labels, value in self.read(taken, limits):
                gauge.add_metric(labels, _number(value))
            return gauge
        histogram = HistogramMetricFamily(self.name, self.help, labels=self.labels)
        for labels, value in self.read(taken, limits):
            assert isinstance(value, Durations)
            histogram.add_metric(labels, list(_buckets(value)), value.seconds)
        return histogram


class RoundCollector(Collector):
    """Gives a registry the metrics of one round, as they were then."""

    def __init__(self, taken: Round, limits: Limits) -> None:
        self._taken = taken
        self._limits = limits

    def collect(self) -> Iterator[Family]:
        for metric in METRICS:
            yield metric.family(self._taken, self._limits)


def registry_of(taken: Round, limits: Limits) -> CollectorRegistry:
    """A registry of its own with the metrics of one round."""
    registry = CollectorRegistry()
    registry.register(RoundCollector(taken, limits))
    return registry


def _number(value: float | Durations) -> float:
    assert not isinstance(value, Durations)
    return value


def _buckets(durations: Durations) -> Iterator[tuple[str, float]]:
    """Prometheus' buckets are cumulative: each holds those below it, too."""
    total = 0
    for bound, count in zip((*map(str, LATENCY_BOUNDS), "+Inf"), durations.classes, strict=True):
        total += count
        yield bound, float(total)


METRICS: tuple[Metric, ...] = (
    # The names that users of such services know already. `backend` is a store's name, as in segments.storage_backend.
    Metric("storage_segments_stored_total", "counter", ("backend", "mode"),
           "Segments of which a verified copy was put into the store; mode is placement.mode as it is now.",
           events.segments_stored),
    Metric("storage_segments_retrieved_total", "counter", ("backend",),
           "Segments that were read from the store for somebody: by exports, each time, and elsewhere by who was told "
           "where they lie.", events.segments_retrieved),
    Metric("storage_segments_deleted_total", "counter", ("backend",),
           "Copies of segments that were deleted from the store: expired, retired, or over its quota. What tier moves "
           "left behind, and other objects, are in reelkeeper_deletions_total alone.", events.segments_deleted),
    Metric("storage_exports_created_total", "counter", ("status",),
           "Exports that came to this status.", events.exports_created),
    Metric("storage_export_duration_seconds", "histogram", ("status",),
           "Time from the request of an export to its end.", events.export_durations),
    Metric("storage_bytes_used", "gauge", ("backend", "bucket"),
           "Bytes of footage in the store; bucket is the root's path for a file system.", values.bytes_used),
    Metric("storage_segments_count", "gauge", ("camera_id",),
           "Segments of the camera in the catalogue.", values.camera_segments),
    Metric("storage_errors_total", "counter", ("operation", "backend"),
           "Transfers to the store that failed, by operation (ingest, migrate, repair, tier), and segments that an "
           "export could not read from it (retrieve).", events.errors),
    # What is where.
    Metric("reelkeeper_stored_bytes", "gauge", ("store", "tier", "tenant"),
           "Bytes of footage by store, tier and tenant; copies that are lost are not in it.", values.stored_bytes),
    Metric("reelkeeper_replicas", "gauge", ("store", "state"),
           "Copies of segments by what is believed of them.", values.replicas),
    Metric("reelkeeper_unprotected_segments", "gauge", (),
           "Segments with a doubted copy and no available one; what only waits for its deletion is none of them.",
           values.unprotected_segments),
    Metric("reelkeeper_store_quota_bytes", "gauge", ("store",),
           "Most bytes that the store may hold; only stores that have a quota.", values.quotas),
    Metric("reelkeeper_pending_retirement_replicas", "gauge", ("store",),
           "Local copies that have a day to leave on, as a verified copy is in the cloud.", values.pending_retirement),
    Metric("reelkeeper_condemned_objects", "gauge", ("store",),
           "Objects whose deletion is decided and waits for its grace to end.", values.condemned_objects),
    Metric("reelkeeper_condemned_bytes", "gauge", ("store",), "Bytes of the condemned objects.",
           values.condemned_bytes),
    # What the catalogue and the stores disagree about.
    Metric("reelkeeper_orphans", "gauge", ("store",),
           "Objects under our prefixes that no row knows, where they were found.", values.orphans),
    Metric("reelkeeper_orphan_bytes", "gauge", ("store",), "Bytes of the orphans.", values.orphan_bytes),
    Metric("reelkeeper_quarantined_orphans", "gauge", ("store",),
           "Orphans in quarantine, where they lie before they are deleted.", values.quarantined_orphans),
    Metric("reelkeeper_quarantined_orphan_bytes", "gauge", ("store",), "Bytes of the orphans in quarantine.",
           values.quarantined_orphan_bytes),
    Metric("reelkeeper_quarantined_files", "gauge", (),
           "Files of landing zones that could not become segments.", values.quarantined_files),
    Metric("reelkeeper_reconciliation_age_seconds", "gauge", ("store",),
           "Time since the store was last held against the catalogue.", values.reconciliation_ages),
    # The work.
    Metric("reelkeeper_transfers_total", "counter", ("operation", "store", "outcome"),
           "Tries to put a copy into the store, by operation (ingest, migrate, repair, tier) and outcome.",
           events.transfers),
    Metric("reelkeeper_transfer_bytes_total", "counter", ("operation", "store"),
           "Bytes of the transfers that succeeded; its rate is the upload rate.", events.transfer_bytes),
    Metric("reelkeeper_transfer_duration_seconds", "histogram", ("operation", "store", "outcome"),
           "How long one transfer took.", events.transfer_durations),
    Metric("reelkeeper_transfer_failures_total", "counter", ("operation", "store", "error_code"),
           "Transfers that failed, by error.", events.transfer_failures),
    Metric("reelkeeper_transfer_fallbacks_total", "counter", ("store",),
           "Segments that the cloud did not take at ingest and that went to this store.", events.fallbacks),
    Metric("reelkeeper_retrieved_bytes_total", "counter", ("store",),
           "Bytes of the segments that were read for somebody; its rate is the download rate.", events.retrieved_bytes),
    Metric("reelkeeper_retrieval_duration_seconds", "histogram", ("store",),
           "How long it took until an export had one segment from the store, proved by its SHA-256. Not in it: what "
           "people and players read by links, at their own pace; what was read before this was measured; what jobs "
           "read for themselves.", events.retrieval_durations),
    Metric("reelkeeper_retrieval_failures_total", "counter", ("store", "error_code"),
           "Segments that an export could not read from the store, by error: it goes on to the next copy.",
           events.retrieval_failures),
    Metric("reelkeeper_deletions_total", "counter", ("store", "reason"), "Objects that were deleted, by reason.",
           events.deletions),
    Metric("reelkeeper_deleted_bytes_total", "counter", ("store", "reason"), "Bytes of the deleted objects.",
           events.deleted_bytes),
    Metric("reelkeeper_queued_items", "gauge", ("operation",),
           "Items of work lists that wait for a worker.", values.queued),
    Metric("reelkeeper_oldest_unverified_age_seconds", "gauge", (),
           "Time since the copy was proved that was proved longest ago.", values.oldest_unverified_age),
    # The rollout.
    Metric("reelkeeper_rollout_ratio", "gauge", (),
           "Share of the segments that the rollout sends to the cloud: 0.25 means 25 percent.", values.rollout_ratio),
    Metric("reelkeeper_rollout_target_ratio", "gauge", (), "The last step of the ramp, as a ratio.",
           values.rollout_target_ratio),
    Metric("reelkeeper_unmigrated_segments", "gauge", (),
           "Segments that policy wants in the cloud now and the cloud has not.", values.unmigrated),
    Metric("reelkeeper_oldest_unmigrated_age_seconds", "gauge", (),
           "Time since the start of the oldest of the unmigrated segments; 0 without any.",
           values.oldest_unmigrated_age),
    # Money.
    Metric("reelkeeper_monthly_cost_usd", "gauge", ("store",),
           "What keeping the store's holdings of now costs in a month; only stores of which the price is known.",
           values.monthly_cost),
    Metric("reelkeeper_month_bill_usd", "gauge", (),
           "What storage costs in this calendar month from its first day to its last, as far as is known and forecast; "
           "days before the catalogue began cost nothing.",
           values.month_bill),
    Metric("reelkeeper_forecast_monthly_cost_usd", "gauge", ("at",),
           "What the holdings will cost in a month at the end of this month (month_end) or 30 days from now "
           "(in_30_days), by the trend of the last 30 days.", values.forecast_cost),
    Metric("reelkeeper_forecast_stored_bytes", "gauge", ("at",),
           "Bytes in all stores at the end of this month (month_end) or 30 days from now (in_30_days), by the trend "
           "of the last 30 days.", values.forecast_bytes),
    # Stores, cameras, alarms.
    Metric("reelkeeper_store_up", "gauge", ("store",),
           "1: the store answered when it was last looked at, and is ours. 0: it did not, or is not. Absent: nobody "
           "has looked.", values.store_up),
    Metric("reelkeeper_store_look_age_seconds", "gauge", ("store",), "Time since the store was last looked at.",
           values.look_ages),
    Metric("reelkeeper_cameras", "gauge", (), "Cameras in the catalogue.", values.cameras),
    Metric("reelkeeper_cameras_silent", "gauge", (),
           "Cameras from which no footage came for longer than the alarm's limit.", values.silent_cameras),
    Metric("reelkeeper_camera_coverage_ratio", "gauge", ("tenant", "camera"),
           "Share of the last whole UTC day that the camera recorded; of \"other\": of all those cameras together. "
           "Footage that overlaps counts twice. Absent while the camera has no footage of an earlier day.",
           values.coverage),
    Metric("reelkeeper_camera_last_footage_age_seconds", "gauge", ("tenant", "camera"),
           "Time since the end of the camera's latest segment; of \"other\": the longest of those cameras.",
           values.last_footage_ages),
    Metric("reelkeeper_alarms", "gauge", ("alarm", "state"),
           "For how many subjects (stores, cameras, the estate) the alarm is in this state: pending, firing, "
           "acknowledged.", values.alarms),
    Metric("reelkeeper_store_alarms", "gauge", ("store", "alarm"),
           "1: the alarm fires for this store, acknowledged or not. 0: it does not.", values.store_alarms),
    Metric("reelkeeper_alarms_judged_timestamp_seconds", "gauge", (),
           "When alarms were last judged, in seconds since 1970. Absent: never.", values.alarms_judged),
    Metric("reelkeeper_figures_timestamp_seconds", "gauge", (),
           "When these figures were read, in seconds since 1970.", values.read_at),
)  # fmt: skip
