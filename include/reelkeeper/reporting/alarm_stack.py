"""CloudWatch alarms, made from the alarms' own definitions: a CloudFormation template of one estate.

`report_metrics` publishes every 15 minutes, and only what changed: so periods are of 15 minutes, counts that are not
there are none, and for everything else the last value stands. What no metric says is taken from how the alarm stands in
the catalogue (`AlarmsUp`). That nobody looks, judges or publishes any more are alarms of their own.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from reelkeeper.policy.alarms import Alarm, AlarmName
from reelkeeper.reporting.alarm_messages import REPOSITORY
from reelkeeper.reporting.alarm_readings import STALE_AFTER
from reelkeeper.reporting.alarms import definitions
from reelkeeper.settings import Estate

PERIOD_SECONDS = 900
_DAY_SECONDS = 86_400
Dimension = tuple[str, str] | None


def cloudwatch_stack(estate: Estate) -> str:
    """The template, as JSON. Its parameter `Topic` is the ARN of the SNS topic that is told; empty: none."""
    resources = {
        name: {"Type": "AWS::CloudWatch::Alarm", "Properties": properties | _ACTIONS}
        for name, properties in cloudwatch_alarms(estate).items()
    }
    template = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"Alarms of estate {estate.name}, by 'reelkeeper alarm rules --cloudwatch'",
        "Parameters": {"Topic": {"Type": "String", "Default": "", "Description": "ARN of the SNS topic to tell"}},
        "Conditions": {"Tells": {"Fn::Not": [{"Fn::Equals": [{"Ref": "Topic"}, ""]}]}},
        "Resources": resources,
    }
    return json.dumps(template, indent=2) + "\n"


def cloudwatch_alarms(estate: Estate) -> dict[str, dict[str, Any]]:
    """The alarms by an alphanumeric name of each; keys and values are those of CloudWatch's `PutMetricAlarm`."""
    judged = {
        _camel(alarm.name, subject): {
            "AlarmName": "-".join(filter(None, ("reelkeeper", estate.name, alarm.name, subject))),
            "AlarmDescription": f"{alarm.means} {alarm.do} {REPOSITORY}{alarm.runbook}",
            "EvaluationPeriods": 1,
            **_ALARMS[alarm.name](estate, alarm, subject),
        }
        for alarm, subject in _subjects(estate)
    }
    return judged | {
        "NobodyWatches": _nobody(estate, "watches", "OldestLookAge", "A store was not looked at for too long"),
        "NobodyJudges": _nobody(estate, "judges", "AlarmsJudgedAge", "Alarms were not judged for too long"),
    }


def _nobody(estate: Estate, does: str, metric: str, means: str) -> dict[str, Any]:
    """Of a metric that every round publishes: that it is missing is wrong. The other alarms stay as they are then."""
    return _standing(estate, metric, None, above=STALE_AFTER.total_seconds()) | {
        "AlarmName": f"reelkeeper-{estate.name}-nobody_{does}",
        "AlarmDescription": f"{means}, or nothing is published. See that report_metrics is not paused and its runs "
        f"succeed. {REPOSITORY}docs/operations.md#nobody-watches",
        "EvaluationPeriods": 3,  # a round that starts a little late leaves one empty
        "TreatMissingData": "breaching",
    }


def _subjects(estate: Estate) -> Iterator[tuple[Alarm, str]]:
    """Each alarm that is on, with each store, or with '' for the estate: cameras are too many."""
    for name, alarm in definitions(estate).items():
        if name in estate.alarms.off or (name == "over_budget" and alarm.threshold is None):
            continue
        measures_stores = alarm.per == "store" and _ALARMS[name] is not _relayed
        yield from ((alarm, store.name) for store in estate.stores) if measures_stores else ((alarm, ""),)


def _relayed(estate: Estate, alarm: Alarm, subject: str) -> dict[str, Any]:
    return _standing(estate, "AlarmsUp", ("Alarm", alarm.name), above=0)


def _standing(estate: Estate, metric: str, dimension: Dimension, *, above: float) -> dict[str, Any]:
    """Of how something stands: published when it changes, and each hour."""
    return {
        "Namespace": estate.metrics.cloudwatch_namespace,
        "MetricName": metric,
        "Dimensions": _dimensions(dimension),
        "Statistic": "Maximum",
        "Period": PERIOD_SECONDS,
        "ComparisonOperator": "GreaterThanThreshold",
        "Threshold": above,
        "TreatMissingData": "ignore",  # nothing new: it stays as it is
    }


def _refused(estate: Estate, alarm: Alarm, store: str) -> dict[str, Any]:
    counted = _standing(estate, "AccessDenied", ("Store", store), above=0)
    return counted | {"Statistic": "Sum", "TreatMissingData": "notBreaching"}


def _share(
    estate: Estate, alarm: Alarm, store: str, *, of: tuple[str, str], expression: str, label: str
) -> dict[str, Any]:
    """One count divided by others, where there are enough."""
    least = estate.alarms.min_transfers
    return {
        "Metrics": [
            *(_summed(estate, identity, metric, store) for identity, metric in zip(("part", "done"), of, strict=True)),
            {"Id": "share", "Expression": expression.format(least=least), "Label": label, "ReturnData": True},
        ],
        "ComparisonOperator": "GreaterThanThreshold",
        "Threshold": alarm.threshold,
        "TreatMissingData": "notBreaching",
    }


def _summed(estate: Estate, identity: str, metric: str, store: str) -> dict[str, Any]:
    return {
        "Id": identity,
        "MetricStat": {
            "Metric": {
                "Namespace": estate.metrics.cloudwatch_namespace,
                "MetricName": metric,
                "Dimensions": _dimensions(("Store", store)),
            },
            "Period": PERIOD_SECONDS,
            "Stat": "Sum",
        },
        "ReturnData": False,
    }


def _failures(estate: Estate, alarm: Alarm, store: str) -> dict[str, Any]:
    tried = "(FILL(part,0)+FILL(done,0))"
    return _share(
        estate, alarm, store, of=("UploadFailures", "Uploads"), label="share of uploads that failed",
        expression=f"IF({tried}>={{least}}, FILL(part,0)/{tried}, 0)",
    )  # fmt: skip


def _slow(estate: Estate, alarm: Alarm, store: str) -> dict[str, Any]:
    return _share(
        estate, alarm, store, of=("UploadSeconds", "Uploads"), label="mean seconds of an upload",
        expression="IF(FILL(done,0)>={least}, FILL(part,0)/FILL(done,1), 0)",
    )  # fmt: skip


_Make = Callable[[Estate, Alarm, str], dict[str, Any]]
_ALARMS: Mapping[AlarmName, _Make] = {
    "unprotected_footage": lambda estate, alarm, _: _standing(estate, "UnprotectedSegments", None, above=0),
    "store_unreachable": _relayed,  # StoreUp is 0 for a store that is not ours, too
    "store_not_ours": _relayed,
    "access_denied": _refused,
    "upload_failures": _failures,
    "slow_uploads": _slow,
    "camera_silent": lambda estate, alarm, _: _standing(estate, "SilentCameras", None, above=0),
    "verification_overdue": lambda estate, alarm, _: _standing(
        estate, "OldestUnverifiedAge", None, above=(alarm.threshold or 0) * _DAY_SECONDS
    ),
    "orphans_above_cap": _relayed,
    "rollout_stepped_back": _relayed,
    "over_budget": _relayed,
}
_ACTIONS = {
    action: {"Fn::If": ["Tells", [{"Ref": "Topic"}], {"Ref": "AWS::NoValue"}]}
    for action in ("AlarmActions", "OKActions")
}


def _dimensions(dimension: Dimension) -> list[dict[str, str]]:
    return [] if dimension is None else [{"Name": dimension[0], "Value": dimension[1]}]


def _camel(alarm: str, subject: str) -> str:
    """CloudFormation's names are alphanumeric: what else a store's name has is told by its code."""
    plain = "".join(letter if letter.isalnum() else f"x{ord(letter):x}" for letter in subject)
    return "".join(part.capitalize() for part in alarm.split("_")) + plain.capitalize()
