"""The template of CloudWatch's alarms: Amazon's own schemas take it, CloudFormation's engine, as moto has it, makes the
alarms of it, and what they watch is published."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any, Self

import boto3
import pytest
from cfnlint.api import lint
from cfnlint.core import get_rules
from moto import mock_aws
from moto.cloudformation import parsing
from moto.core.common_models import CloudFormationModel

from reelkeeper.policy.alarms import ALARM_NAMES
from reelkeeper.reporting.alarm_stack import cloudwatch_alarms, cloudwatch_stack
from reelkeeper.reporting.cloudwatch import Published, publish_to_cloudwatch
from reelkeeper.reporting.figures import TransferTotals
from reelkeeper.reporting.rounds import ALARM_STATES, Round
from reelkeeper.settings import Estate
from tests.reporting.hand_made import CLOUD, LOCAL, lasted, taken
from tests.reporting.test_alarms import estate

TOPIC = "arn:aws:sns:us-east-1:123456789012:video"
ESTATE = estate(max_failure_ratio=0.2, budget_usd=500)
pytestmark = pytest.mark.servers  # it needs none, but some seconds: no part of the fast ones
Metric = tuple[str, str, frozenset[tuple[str, str]]]
"""What CloudWatch knows a metric by: namespace, name, and dimensions with their values."""


class StackedAlarm(CloudFormationModel):
    """moto's engine knows no alarms, and its CloudWatch does: the properties of one are the call's parameters."""

    def __init__(self, name: str) -> None:
        self.physical_resource_id = name

    @staticmethod
    def cloudformation_type() -> str:
        return "AWS::CloudWatch::Alarm"

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **_: Any
    ) -> Self:
        properties = cloudformation_json["Properties"]
        boto3.client("cloudwatch", region_name=region_name).put_metric_alarm(**properties)
        return cls(properties["AlarmName"])


@pytest.fixture(name="aws")
def _aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    known = {**parsing.get_model_map(), StackedAlarm.cloudformation_type(): StackedAlarm}
    monkeypatch.setattr(parsing, "get_model_map", lambda: known)
    with mock_aws():
        yield


def created(ours: Estate, topic: str = "") -> dict[str, dict[str, Any]]:
    """The alarms that CloudWatch has after the stack was made, by their names."""
    engine, watch = boto3.client("cloudformation"), boto3.client("cloudwatch")
    given = [{"ParameterKey": "Topic", "ParameterValue": topic}] if topic else []
    engine.create_stack(StackName="alarms", TemplateBody=cloudwatch_stack(ours), Parameters=given)
    assert engine.describe_stacks(StackName="alarms")["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE"
    pages = watch.get_paginator("describe_alarms").paginate()
    return {alarm["AlarmName"]: alarm for page in pages for alarm in page["MetricAlarms"]}


def watched(alarm: dict[str, Any]) -> set[Metric]:
    metrics = [each["MetricStat"]["Metric"] for each in alarm.get("Metrics", ()) if "MetricStat" in each] or [alarm]
    return {metric_of(metric) for metric in metrics}


def metric_of(told: dict[str, Any]) -> Metric:
    return told["Namespace"], told["MetricName"], frozenset((d["Name"], d["Value"]) for d in told["Dimensions"])


def test_amazons_own_schemas_take_the_template() -> None:
    rules = get_rules([], [], ["I"], {}, False)
    found = lint(cloudwatch_stack(ESTATE), rules=rules, regions=["us-east-1"])
    assert [str(match) for match in found] == []
    broken = json.loads(cloudwatch_stack(ESTATE))
    broken["Resources"]["NobodyWatches"]["Properties"]["ComparisonOperator"] = "Above"
    assert lint(json.dumps(broken), rules=rules, regions=["us-east-1"]) != []


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize("topic", [TOPIC, ""])
def test_the_stack_makes_the_alarms_that_are_defined(topic: str) -> None:
    found = created(ESTATE, topic)
    defined = {alarm["AlarmName"]: alarm for alarm in cloudwatch_alarms(ESTATE).values()}
    assert found.keys() == defined.keys()
    assert len(found) == 3 * 2 + 10  # three of each store, eight of the estate, two that nobody watches or judges
    for name, alarm in defined.items():
        for key, value in alarm.items():
            assert found[name][key] == value, (name, key)
        assert found[name]["AlarmActions"] == found[name]["OKActions"] == ([topic] if topic else [])
        assert found[name]["ActionsEnabled"]


@pytest.mark.usefixtures("aws")
def test_the_alarms_watch_what_is_published() -> None:
    """Names and values of dimensions, too: an alarm on a metric that nobody publishes is silent for ever."""
    watch, namespace = boto3.client("cloudwatch"), ESTATE.metrics.cloudwatch_namespace
    published: Published = {}
    for quarter in range(2):
        publish_to_cloudwatch(watch, namespace, busy(quarter), published)
    pages = watch.get_paginator("list_metrics").paginate()
    told = {metric_of(metric) for page in pages for metric in page["Metrics"]}
    wanted = {metric for alarm in created(ESTATE).values() for metric in watched(alarm)}
    assert wanted - told == set()
    assert (namespace, "Uploads", frozenset({("Store", "local")})) in wanted


def busy(quarter: int) -> Round:
    """Each store takes some uploads and refuses some, in each quarter of an hour."""
    now = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1) + quarter * timedelta(minutes=15)
    made = taken(now)
    more = tuple(
        TransferTotals("migrate", store, *outcome, False, 1, lasted(*[0.5] * (quarter + 1)))
        for store in (LOCAL, CLOUD)
        for outcome in (("succeeded", None), ("failed", "access_denied"))
    )
    alarms = dict.fromkeys(product(ALARM_NAMES, ALARM_STATES), 0)  # as take_round has them
    figures = replace(made.figures, transfers=(*made.figures.transfers, *more))
    return replace(made, figures=figures, alarms=alarms)
