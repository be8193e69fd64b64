"""The alarms there are: what each measures, from where on that is wrong and for how long, and what it means.

They are data. What the catalogue keeps, Prometheus' rules, CloudWatch's alarms and the runbook are made from them; how
one comes and goes is `policy.alarm_states`.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, get_args

Severity = Literal["critical", "warning"]
"""critical: footage may be lost or does not come in, somebody should look now. warning: today."""

AlarmName = Literal[
    "upload_failures", "slow_uploads", "access_denied", "over_budget", "verification_overdue", "camera_silent",
    "store_unreachable", "store_not_ours", "orphans_above_cap", "rollout_stepped_back", "unprotected_footage",
]  # fmt: skip
ALARM_NAMES: tuple[AlarmName, ...] = get_args(AlarmName)

UPLOADS_APART = timedelta(hours=2)
"""Longer than from one migration to the next, as they run hourly: that all is quiet between two says nothing."""

Per = Literal["estate", "store", "camera"]
"""What an alarm has a subject for: one for the whole estate, each store by its name, each camera by tenant/slug."""


@dataclass(frozen=True, slots=True)
class AlarmTerms:
    """From where on things are wrong. None: nobody said."""

    max_failure_ratio: float
    max_upload_seconds: float
    budget_usd: float | None
    unverified_days: float
    camera_silent_hours: float
    recover: timedelta
    """How long an alarm's measurements must be right before it is over."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm. It is wrong when what it measures is above the threshold, and fires when that has held for `hold`."""

    name: AlarmName
    severity: Severity
    per: Per
    measures: str  # a noun phrase with its unit
    threshold: float | None  # None: none is set, or each subject has its own
    hold: timedelta
    recover: timedelta
    means: str  # a sentence for a person
    do: str  # the first thing to do about it; the runbook has the rest

    @property
    def runbook(self) -> str:
        """Where the runbook says what to do: a path in the repository, with an anchor."""
        return f"docs/operations.md#{self.name}"


def alarms(terms: AlarmTerms) -> dict[AlarmName, Alarm]:
    """Every alarm by its name, in the order in which they are shown."""
    at_once = timedelta()
    after_uploads = max(terms.recover, UPLOADS_APART)
    listed = (
        Alarm(
            "unprotected_footage", "critical", "estate",
            "segments with a doubted copy and no available one", 0, at_once, terms.recover,
            "Footage may be lost: no copy of some segments is known to be good.",
            "Run reconcile_stores, then verify_replicas; let nothing be deleted meanwhile.",
        ),
        Alarm(
            "store_unreachable", "critical", "store",
            "looks at a store that it did not answer (1: the last one)", 0, timedelta(minutes=5), terms.recover,
            "A store does not answer, or its disk is not mounted: nothing is read from it, written to it or deleted.",
            "Run 'reelkeeper doctor' where the workers run.",
        ),
        Alarm(
            "store_not_ours", "critical", "store",
            "looks at a store whose marker was another catalogue's, or gone (1: the last one)", 0, at_once,
            terms.recover,
            "A store's marker is another catalogue's, or gone: nothing is taken from it, and nothing concluded.",
            "Find out who changed it before setup_estate is run again.",
        ),
        Alarm(
            "access_denied", "critical", "store",
            "uploads that a store refused for its credentials or their rights", 0, at_once, after_uploads,
            "A store refuses our credentials: it takes no footage until a person mends that.",
            "Look at the store's Airflow connection and at its bucket's policy.",
        ),
        Alarm(
            "upload_failures", "critical", "store",
            "share of a store's uploads that failed, in the worst window (0 to 1)", terms.max_failure_ratio, at_once,
            after_uploads,
            "Too many uploads to a store fail. Footage bound for it is kept locally and tried again.",
            "Look at the errors of the runs of migrate_recordings; roll back by placement.mode = 'local'.",
        ),
        Alarm(
            "slow_uploads", "warning", "store",
            "mean time of a store's uploads, in seconds", terms.max_upload_seconds, at_once, after_uploads,
            "Uploads to a store take too long: footage may come in faster than it can be moved.",
            "Look at the uplink and at the store; lower the store's pool or the rollout's percentage.",
        ),
        Alarm(
            "camera_silent", "warning", "camera",
            "hours since the end of a camera's last footage", terms.camera_silent_hours, at_once, at_once,
            "No footage of a camera has come in for too long: it may not be recording.",
            "Look at the camera, its recorder, and the quarantine of its landing zone.",
        ),
        Alarm(
            "verification_overdue", "warning", "estate",
            "days since the copy that waits longest was last proved to be good", terms.unverified_days, at_once,
            terms.recover,
            "Copies have not been looked at for too long: damage would not be noticed.",
            "See that verify_replicas runs, and raise verification.bytes_per_run.",
        ),
        Alarm(
            "orphans_above_cap", "warning", "store",
            "objects of a store that no row of the catalogue names", None, at_once, terms.recover,
            "A store has more objects without a row than one run may take away by itself.",
            "Read the store's reconcile report before anything is approved.",
        ),
        Alarm(
            "rollout_stepped_back", "warning", "estate",
            "whether the last move of the rollout was a step back (0 or 1)", 0, at_once, at_once,
            "The rollout went back a step by itself, because too many uploads failed.",
            "Read the reason in the last decision of advance_rollout, and mend it.",
        ),
        Alarm(
            "over_budget", "warning", "estate",
            "what storage costs a month, now or as forecast, in US dollars", terms.budget_usd, timedelta(hours=1),
            timedelta(hours=6),
            "Storage costs more than its budget, or soon will.",
            "Look at the report's costs: retention, tiers, and the rollout's percentage decide them.",
        ),
    )  # fmt: skip
    return {alarm.name: alarm for alarm in listed}


@dataclass(frozen=True, slots=True)
class Reading:
    """What was measured of one subject. `value` None: it cannot be told now, so that nothing changes."""

    alarm: AlarmName
    subject: str
    value: float | None
    threshold: float | None  # the alarm's, or the subject's own
    detail: str  # in words and figures

    @property
    def is_wrong(self) -> bool | None:
        """None: it cannot be told."""
        if self.value is None:
            return None
        return self.threshold is not None and self.value > self.threshold
