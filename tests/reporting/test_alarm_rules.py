"""Rules for Prometheus and alarms for CloudWatch are made of the alarms' definitions, and read what is published."""

import re
from pathlib import Path
from typing import Any

import promql_parser as promql
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from reelkeeper.policy.alarms import ALARM_NAMES
from reelkeeper.reporting.alarm_rules import prometheus_rules
from reelkeeper.reporting.alarm_stack import cloudwatch_alarms
from reelkeeper.reporting.alarms import definitions
from reelkeeper.reporting.cloudwatch import CLOUD_METRICS
from reelkeeper.reporting.metric_samples import Limits
from reelkeeper.reporting.metrics import registry_of
from reelkeeper.reporting.publishing import exposition
from reelkeeper.settings import load_estate
from tests.reporting.hand_made import taken
from tests.reporting.test_alarms import estate

ROOT = Path(__file__).parents[2]


def rules(**alarms: Any) -> dict[str, dict[str, Any]]:
    (group,) = yaml.safe_load(prometheus_rules(estate(**alarms)))["groups"]
    return {rule["labels"]["alarm"]: rule for rule in group["rules"]}


def published() -> dict[str, set[str]]:
    """The labels of each series of the exposition."""
    text, _ = exposition(registry_of(taken(), Limits(100, 100)), "")
    series: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text.decode() if isinstance(text, bytes) else text):
        for sample in family.samples:
            series.setdefault(sample.name, set()).update(sample.labels)
    return series


def test_the_committed_rules_are_current() -> None:
    made = prometheus_rules(load_estate(ROOT / "deploy/estate.toml"))
    committed = (ROOT / "deploy/prometheus/reelkeeper_rules.yml").read_text()
    assert made == committed, "run: reelkeeper --estate deploy/estate.toml alarm rules --prometheus"


def test_every_alarm_has_a_rule_with_its_threshold_and_times() -> None:
    made = rules(budget_usd=500, max_failure_ratio=0.2, unverified_days=50, recover_minutes=45)
    assert set(made) == {*ALARM_NAMES, "nobody_watches"}
    assert " > 0.2 or ignoring (alarm) " in made["upload_failures"]["expr"]
    assert made["upload_failures"]["keep_firing_for"] == "120m"  # longer than from one migration to the next
    assert "> 50 * 86400" in made["verification_overdue"]["expr"]
    assert made["over_budget"]["expr"].count(" > 500") == 2
    assert (made["store_unreachable"]["for"], made["store_unreachable"]["keep_firing_for"]) == ("5m", "45m")
    for name, alarm in definitions(estate()).items():
        assert made[name]["labels"] == {"severity": alarm.severity, "alarm": name}
        assert made[name]["annotations"]["summary"] == alarm.means
    assert set(rules(off=("slow_uploads",))) == {*ALARM_NAMES, "nobody_watches"} - {"slow_uploads", "over_budget"}


def selectors(expression: str) -> list[promql.VectorSelector]:
    read: list[promql.VectorSelector] = []

    def visit(node: object) -> None:
        if isinstance(node, promql.VectorSelector):
            read.append(node)

    promql.walk(promql.parse(expression), visit)
    return read


def matchers(selector: promql.VectorSelector) -> dict[str, str]:
    return {matcher.name: matcher.value for matcher in selector.matchers.matchers}


@pytest.mark.parametrize("name", ["upload_failures", "slow_uploads"])
def test_only_uploads_say_how_uploads_go(name: str) -> None:
    """As the catalogue's own measure: no moves between tiers, no repairs."""
    read = [selector for selector in selectors(rules()[name]["expr"]) if "transfer" in str(selector.name)]
    assert read
    assert all(matchers(selector)["operation"] == "ingest|migrate" for selector in read)


def test_what_is_wrong_with_a_source_is_no_try_of_a_store() -> None:
    """It is taken off the failures and off the tries, and its series is there before the first one."""
    expression = rules()["upload_failures"]["expr"]
    left_out = [one for one in selectors(expression) if matchers(one).get("error_code") == "source_corrupted"]
    assert len(left_out) == 2
    text, _ = exposition(registry_of(taken(), Limits(100, 100)), "")
    for operation in ("ingest", "migrate"):
        labels = f'{{error_code="source_corrupted",operation="{operation}",store="local"}}'
        assert f"reelkeeper_transfer_failures_total{labels} 0.0" in text.decode()


def test_a_store_that_is_not_ours_is_not_told_as_one_that_does_not_answer() -> None:
    read = [(selector.name, matchers(selector).get("alarm")) for selector in selectors(
        rules()["store_unreachable"]["expr"])]  # fmt: skip
    assert read == [("reelkeeper_store_up", None), ("reelkeeper_store_alarms", "store_not_ours")]


def test_nobody_watches_where_no_store_was_ever_looked_at_or_figures_stand_still() -> None:
    expression = rules()["nobody_watches"]["expr"]
    for sign in (
        "max(reelkeeper_store_look_age_seconds) > 3600",
        "absent(reelkeeper_store_look_age_seconds)",
        "time() - min(reelkeeper_alarms_judged_timestamp_seconds) > 3600",
        "absent(reelkeeper_alarms_judged_timestamp_seconds)",
        "time() - min(reelkeeper_figures_timestamp_seconds) > 3600",
    ):
        assert sign in expression.split(" or ")


@pytest.mark.parametrize("name", [*ALARM_NAMES, "nobody_watches"])
def test_a_rule_reads_series_that_are_published(name: str) -> None:
    expression, known = rules(budget_usd=500)[name]["expr"], published()
    read = selectors(expression)
    assert read
    for selector in read:
        assert selector.name in known
        assert {matcher.name for matcher in selector.matchers.matchers} <= known[selector.name]


def test_a_small_store_is_judged_by_the_count_alone() -> None:
    ours = estate()
    caps = ours.reconcile_caps.model_copy(update={"ratio_from": 50})
    (group,) = yaml.safe_load(prometheus_rules(ours.model_copy(update={"reconcile_caps": caps})))["groups"]
    (expression,) = (rule["expr"] for rule in group["rules"] if rule["labels"]["alarm"] == "orphans_above_cap")
    assert promql.parse(expression)
    assert "< 50) * 0 + 1000" in expression


def test_each_cloudwatch_alarm_reads_a_metric_that_is_published() -> None:
    known = {(metric.name, metric.dimension) for metric in CLOUD_METRICS}
    made = cloudwatch_alarms(estate(budget_usd=500))
    for alarm in made.values():
        metrics = [each["MetricStat"]["Metric"] for each in alarm.get("Metrics", ()) if "MetricStat" in each] or [alarm]
        for metric in metrics:
            dimension = metric["Dimensions"][0]["Name"] if metric["Dimensions"] else None
            assert (metric["MetricName"], dimension) in known
            assert metric["Namespace"] == "SPARC/VideoStorage"
    of = {
        re.sub(r"-(local|cloud)$", "", alarm["AlarmName"]).removeprefix("reelkeeper-test-") for alarm in made.values()
    }
    assert of == {*ALARM_NAMES, "nobody_watches", "nobody_judges"}


def test_cloudwatch_is_alarmed_when_nothing_is_published() -> None:
    made = cloudwatch_alarms(estate())
    assert {name for name, alarm in made.items() if alarm["TreatMissingData"] == "breaching"} == {
        "NobodyWatches", "NobodyJudges",
    }  # fmt: skip
    for name, metric in (("NobodyWatches", "OldestLookAge"), ("NobodyJudges", "AlarmsJudgedAge")):
        watches = made[name]
        assert (watches["MetricName"], watches["Threshold"], watches["EvaluationPeriods"]) == (metric, 3600, 3)


def test_the_runbook_has_a_place_for_each_alarm() -> None:
    runbook = (ROOT / "docs/operations.md").read_text()
    headings = {line.removeprefix("### ").strip("`") for line in runbook.splitlines() if line.startswith("### ")}
    assert {*ALARM_NAMES, "Nobody watches"} <= headings
