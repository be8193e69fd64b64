"""What Prometheus reads of an estate that was counted by hand, by Prometheus' own parsers."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from prometheus_client import parser
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.openmetrics import parser as openmetrics

from reelkeeper.model import CameraId
from reelkeeper.reporting.figures import CameraFigures
from reelkeeper.reporting.metric_samples import Limits
from reelkeeper.reporting.metrics import METRICS, registry_of
from reelkeeper.reporting.metrics_reference import metrics_reference
from reelkeeper.reporting.publishing import exposition
from reelkeeper.reporting.rounds import Round
from tests.reporting.hand_made import CAMERAS, NOW, figures, taken

ROOT = Path(__file__).parents[2]
GATE, YARD, HALL = (str(camera) for camera in CAMERAS)
EXPECTED = """
storage_segments_stored_total{backend="local",mode="hybrid"} 4
storage_segments_stored_total{backend="cloud",mode="hybrid"} 2
storage_segments_retrieved_total{backend="local"} 0
storage_segments_retrieved_total{backend="cloud"} 7
storage_segments_deleted_total{backend="local"} 7
storage_segments_deleted_total{backend="cloud"} 0
storage_exports_created_total{status="PENDING"} 3
storage_exports_created_total{status="COMPLETED"} 2
storage_exports_created_total{status="FAILED"} 1
storage_export_duration_seconds_count{status="COMPLETED"} 2
storage_export_duration_seconds_sum{status="COMPLETED"} 90
storage_export_duration_seconds_bucket{status="COMPLETED",le="10.0"} 0
storage_export_duration_seconds_bucket{status="COMPLETED",le="30.0"} 1
storage_export_duration_seconds_bucket{status="COMPLETED",le="120.0"} 2
storage_export_duration_seconds_bucket{status="FAILED",le="5.0"} 1
storage_bytes_used{backend="local",bucket="/srv/footage"} 1200
storage_bytes_used{backend="cloud",bucket="footage"} 540
storage_segments_count{camera_id="GATE"} 10
storage_segments_count{camera_id="YARD"} 3
storage_segments_count{camera_id="HALL"} 0
storage_errors_total{operation="migrate",backend="cloud"} 3
storage_errors_total{operation="ingest",backend="cloud"} 1
storage_errors_total{operation="repair",backend="local"} 0
storage_errors_total{operation="retrieve",backend="cloud"} 3
storage_errors_total{operation="retrieve",backend="local"} 0
reelkeeper_stored_bytes{store="local",tier="HOT",tenant="acme"} 1000
reelkeeper_stored_bytes{store="local",tier="HOT",tenant="beta"} 200
reelkeeper_stored_bytes{store="cloud",tier="COOL",tenant="acme"} 500
reelkeeper_stored_bytes{store="cloud",tier="HOT",tenant="acme"} 40
reelkeeper_replicas{store="local",state="available"} 12
reelkeeper_replicas{store="local",state="lost"} 1
reelkeeper_replicas{store="local",state="suspicious"} 0
reelkeeper_replicas{store="cloud",state="suspicious"} 1
reelkeeper_unprotected_segments 1
reelkeeper_store_quota_bytes{store="local"} 1e12
reelkeeper_pending_retirement_replicas{store="local"} 4
reelkeeper_condemned_objects{store="local"} 1
reelkeeper_condemned_bytes{store="local"} 50
reelkeeper_orphans{store="local"} 0
reelkeeper_orphans{store="cloud"} 2
reelkeeper_orphan_bytes{store="cloud"} 20
reelkeeper_quarantined_orphans{store="cloud"} 1
reelkeeper_quarantined_orphan_bytes{store="cloud"} 7
reelkeeper_quarantined_files 2
reelkeeper_reconciliation_age_seconds{store="local"} 36000
reelkeeper_transfers_total{operation="ingest",store="local",outcome="succeeded"} 4
reelkeeper_transfers_total{operation="migrate",store="cloud",outcome="failed"} 3
reelkeeper_transfers_total{operation="tier",store="cloud",outcome="succeeded"} 1
reelkeeper_transfers_total{operation="tier",store="cloud",outcome="failed"} 0
reelkeeper_transfer_bytes_total{operation="ingest",store="local"} 1100
reelkeeper_transfer_bytes_total{operation="migrate",store="cloud"} 540
reelkeeper_transfer_duration_seconds_count{operation="ingest",store="local",outcome="succeeded"} 4
reelkeeper_transfer_duration_seconds_sum{operation="ingest",store="local",outcome="succeeded"} 400.44
reelkeeper_transfer_duration_seconds_bucket{operation="ingest",store="local",outcome="succeeded",le="0.05"} 1
reelkeeper_transfer_duration_seconds_bucket{operation="ingest",store="local",outcome="succeeded",le="0.25"} 3
reelkeeper_transfer_duration_seconds_bucket{operation="ingest",store="local",outcome="succeeded",le="300.0"} 3
reelkeeper_transfer_duration_seconds_bucket{operation="ingest",store="local",outcome="succeeded",le="+Inf"} 4
reelkeeper_transfer_duration_seconds_sum{operation="migrate",store="cloud",outcome="failed"} 61.1
reelkeeper_transfer_failures_total{operation="migrate",store="cloud",error_code="access_denied"} 1
reelkeeper_transfer_failures_total{operation="migrate",store="cloud",error_code="store_timeout"} 2
reelkeeper_transfer_failures_total{operation="ingest",store="cloud",error_code="other"} 1
reelkeeper_transfer_failures_total{operation="migrate",store="local",error_code="access_denied"} 0
reelkeeper_transfer_fallbacks_total{store="local"} 1
reelkeeper_transfer_fallbacks_total{store="cloud"} 0
reelkeeper_retrieved_bytes_total{store="local"} 0
reelkeeper_retrieved_bytes_total{store="cloud"} 700
reelkeeper_retrieval_duration_seconds_count{store="cloud"} 4
reelkeeper_retrieval_duration_seconds_sum{store="cloud"} 47.7
reelkeeper_retrieval_duration_seconds_bucket{store="cloud",le="0.25"} 0
reelkeeper_retrieval_duration_seconds_bucket{store="cloud",le="0.5"} 2
reelkeeper_retrieval_duration_seconds_bucket{store="cloud",le="2.5"} 3
reelkeeper_retrieval_duration_seconds_bucket{store="cloud",le="60.0"} 4
reelkeeper_retrieval_duration_seconds_bucket{store="cloud",le="+Inf"} 4
reelkeeper_retrieval_duration_seconds_count{store="local"} 0
reelkeeper_retrieval_failures_total{store="cloud",error_code="store_timeout"} 2
reelkeeper_retrieval_failures_total{store="cloud",error_code="source_corrupted"} 1
reelkeeper_retrieval_failures_total{store="cloud",error_code="access_denied"} 0
reelkeeper_retrieval_failures_total{store="local",error_code="store_timeout"} 0
reelkeeper_deletions_total{store="local",reason="expired"} 6
reelkeeper_deletions_total{store="cloud",reason="export"} 2
reelkeeper_deleted_bytes_total{store="local",reason="retired"} 100
reelkeeper_queued_items{operation="migrate"} 12
reelkeeper_oldest_unverified_age_seconds 259200
reelkeeper_rollout_ratio 0.25
reelkeeper_rollout_target_ratio 1
reelkeeper_unmigrated_segments 3
reelkeeper_oldest_unmigrated_age_seconds 7200
reelkeeper_monthly_cost_usd{store="cloud"} 12.5
reelkeeper_month_bill_usd 12.75
reelkeeper_forecast_monthly_cost_usd{at="month_end"} 13
reelkeeper_forecast_monthly_cost_usd{at="in_30_days"} 14
reelkeeper_forecast_stored_bytes{at="month_end"} 5000
reelkeeper_forecast_stored_bytes{at="in_30_days"} 6000
reelkeeper_store_up{store="local"} 1
reelkeeper_store_up{store="cloud"} 0
reelkeeper_store_look_age_seconds{store="local"} 30
reelkeeper_cameras 3
reelkeeper_cameras_silent 1
reelkeeper_camera_coverage_ratio{tenant="acme",camera="gate"} 0.75
reelkeeper_camera_coverage_ratio{tenant="acme",camera="yard"} 0.25
reelkeeper_camera_last_footage_age_seconds{tenant="acme",camera="gate"} 300
reelkeeper_camera_last_footage_age_seconds{tenant="acme",camera="yard"} 108000
reelkeeper_alarms{alarm="store_unreachable",state="firing"} 1
reelkeeper_alarms{alarm="store_unreachable",state="acknowledged"} 0
reelkeeper_store_alarms{store="local",alarm="store_unreachable"} 0
reelkeeper_store_alarms{store="cloud",alarm="store_unreachable"} 1
reelkeeper_alarms_judged_timestamp_seconds 1773143880
reelkeeper_figures_timestamp_seconds 1773144000
"""

Values = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def values_of(families: Iterable[Family]) -> Values:
    found: Values = {}
    for family in families:
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found
            found[key] = sample.value
    return found


def as_text(what: Round, limits: Limits | None = None) -> Values:
    text, _ = exposition(registry_of(what, limits or Limits()))
    return values_of(parser.text_string_to_metric_families(text.decode()))


def expected() -> Values:
    text = EXPECTED.replace("GATE", GATE).replace("YARD", YARD).replace("HALL", HALL)
    return values_of(parser.text_string_to_metric_families(text))


def test_every_number_is_the_one_counted_by_hand() -> None:
    found = as_text(taken())
    wrong = {
        key: (found.get(key), value) for key, value in expected().items() if found.get(key) != pytest.approx(value)
    }
    assert wrong == {}
    named = {key[0].removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") for key in expected()}
    assert {metric.name for metric in METRICS} - named == {"storage_segments_count"}  # which ends like a histogram's


def test_both_of_prometheus_parsers_read_the_same() -> None:
    registry = registry_of(taken(), Limits())
    plain, plain_type = exposition(registry, "text/plain")
    text, text_type = exposition(registry, "application/openmetrics-text; version=1.0.0, text/plain; q=0.5")
    assert plain_type.startswith("text/plain; version=0.0.4")
    assert text_type.startswith("application/openmetrics-text; version=1.0.0")
    assert text.endswith(b"# EOF\n")
    assert values_of(openmetrics.text_string_to_metric_families(text.decode())) == values_of(
        parser.text_string_to_metric_families(plain.decode())
    )


def test_each_is_explained_and_named_as_prometheus_wants_it() -> None:
    families = {family.name: family for family in parser.text_string_to_metric_families(
        exposition(registry_of(taken(), Limits()))[0].decode())}  # fmt: skip
    for metric in METRICS:
        family = families[metric.name.removesuffix("_total")]
        assert family.type == metric.kind
        assert family.documentation == metric.help
        assert metric.name.endswith("_total") == (metric.kind == "counter")


def test_no_label_is_one_that_prometheus_and_the_pushgateway_set() -> None:
    assert [metric.name for metric in METRICS if {"job", "instance"} & {*metric.labels}] == []


def test_cameras_and_tenants_beyond_the_limits_are_one() -> None:
    found = as_text(taken(), Limits(cameras=1, tenants=1))

    def of(name: str) -> dict[tuple[str, ...], float]:
        return {tuple(value for _, value in key[1]): value for key, value in found.items() if key[0] == name}

    assert of("storage_segments_count") == {(GATE,): 10, ("other",): 3}
    # The yard's six hours: of the hall nothing is expected.
    assert of("reelkeeper_camera_coverage_ratio") == {("gate", "acme"): 0.75, ("other", "other"): 0.25}
    assert of("reelkeeper_camera_last_footage_age_seconds") == {("gate", "acme"): 300, ("other", "other"): 108_000}
    assert of("reelkeeper_stored_bytes") == {
        ("local", "acme", "HOT"): 1000, ("local", "other", "HOT"): 200,
        ("cloud", "acme", "COOL"): 500, ("cloud", "acme", "HOT"): 40,
    }  # fmt: skip


def test_footage_that_overlaps_makes_up_for_no_other_camera() -> None:
    """The gate recorded its day twice over, the other two nothing."""
    twice = replace(taken(), recorded_seconds={CAMERAS[0]: 172_800.0}, recorded_before=frozenset(CAMERAS))
    found = as_text(twice, Limits(cameras=0, tenants=9))
    assert found["reelkeeper_camera_coverage_ratio", (("camera", "other"), ("tenant", "other"))] == pytest.approx(1 / 3)
    gate = as_text(twice)["reelkeeper_camera_coverage_ratio", (("camera", "gate"), ("tenant", "acme"))]
    assert gate == 1


def test_a_day_counts_only_for_cameras_that_recorded_before_it() -> None:
    """The gate is new; the yard was there, and recorded nothing of the day."""

    def coverage(limits: Limits, *before: CameraId) -> dict[str, float]:
        found = as_text(replace(taken(), recorded_seconds={CAMERAS[0]: 43_200.0}, recorded_before=frozenset(before)),
                        limits)  # fmt: skip
        return {dict(key[1])["camera"]: value for key, value in found.items()
                if key[0] == "reelkeeper_camera_coverage_ratio"}  # fmt: skip

    assert coverage(Limits(), CAMERAS[1]) == {"yard": 0}
    assert coverage(Limits(cameras=0), CAMERAS[1]) == {"other": 0}
    assert coverage(Limits(cameras=0), *CAMERAS[:2]) == {"other": 0.25}
    assert coverage(Limits()) == coverage(Limits(cameras=0)) == {}


def test_ten_thousand_cameras_make_no_more_series_than_the_limit() -> None:
    cameras = tuple(
        CameraFigures(CameraId(UUID(int=number)), "acme", f"c{number:05}", "", 1, 1, NOW) for number in range(10_000)
    )
    found = as_text(replace(taken(), figures=replace(figures(), cameras=cameras)))
    assert sum(key[0] == "storage_segments_count" for key in found) == 501
    assert found["storage_segments_count", (("camera_id", "other"),)] == 9500


def test_what_nobody_knows_is_left_out() -> None:
    bare = figures()
    unknown = replace(
        bare,
        stores=tuple(replace(store, health="unknown", looked_at=None, monthly_usd=None) for store in bare.stores),
        oldest_unverified=None,
        rollout=replace(bare.rollout, oldest_unmigrated=None),
    )
    found = as_text(Round(unknown))
    names = {key[0] for key in found}
    for name in ("store_up", "store_look_age_seconds", "monthly_cost_usd", "month_bill_usd", "cameras_silent",
                 "forecast_monthly_cost_usd", "forecast_stored_bytes", "oldest_unverified_age_seconds"):  # fmt: skip
        assert f"reelkeeper_{name}" not in names
    assert found["reelkeeper_oldest_unmigrated_age_seconds", ()] == 0


def test_two_rounds_share_nothing() -> None:
    first = registry_of(taken(), Limits())
    registry_of(replace(taken(), month_bill_usd=99.0), Limits())
    assert b"reelkeeper_month_bill_usd 12.75" in exposition(first)[0]


def test_a_label_may_hold_anything() -> None:
    odd = 'a"b\\c\nd'
    bare = figures()
    found = as_text(Round(replace(bare, stores=(replace(bare.stores[0], bucket=odd),))))
    assert found["storage_bytes_used", (("backend", "local"), ("bucket", odd))] == 1200


def test_the_table_of_metrics_is_current() -> None:
    assert (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8") == metrics_reference(), (
        "run: reelkeeper metrics reference > docs/metrics.md"
    )
