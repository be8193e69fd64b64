"""The alert rules, run by Prometheus' own promtool over what is published while an estate goes through its troubles."""

import json
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reelkeeper.reporting.alarms import definitions
from reelkeeper.reporting.figures import Figures, TransferTotals
from reelkeeper.reporting.metric_samples import Limits
from reelkeeper.reporting.metrics import registry_of
from reelkeeper.reporting.rounds import Round
from reelkeeper.settings import load_estate
from tests.deploy.compose import ROOT
from tests.reporting.hand_made import CLOUD, LOCAL, lasted, taken

PROMTOOL = shutil.which("promtool")
pytestmark = [
    pytest.mark.skipif(PROMTOOL is None, reason="no promtool on PATH: Prometheus' own tool"),
    pytest.mark.servers,  # it needs none, but a few seconds: no part of the fast ones
]

RULES = ROOT / "deploy/prometheus/reelkeeper_rules.yml"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""When promtool's stories begin: `time()` of a rule is then the time of the figures."""
EVERY = timedelta(minutes=1)
SCRAPED = {"job": "reelkeeper", "instance": "api-server:8080"}

At = Callable[[int], Round | None]
"""The round that a scrape at this minute finds; None where nobody answers."""


@dataclass(frozen=True)
class Story:
    """What is published, and which alarms are pending or firing at which minute."""

    at: At
    minutes: int
    expected: Mapping[int, Mapping[str, str]]


def healthy(minute: int, **changed: Any) -> Round:
    """Nothing is wrong, and nothing was ever moved."""
    now = EPOCH + minute * EVERY
    usual: dict[str, Any] = {
        "stores": tuple(replace(store, health="healthy", looked_at=now, orphans=0) for store in taken().figures.stores),
        "transfers": (),
        "unprotected_segments": 0,
        "oldest_unverified": now,
    }
    figures: Figures = replace(taken(now).figures, **(usual | changed))
    return Round(figures, silent_cameras=0, alarms_judged_at=now)


def looked_at_last(minute: int, at: int) -> Round:
    """Stores were not looked at any more after the minute `at`: `report_metrics` is paused."""
    last = EPOCH + min(minute, at) * EVERY
    return healthy(minute, stores=tuple(replace(store, looked_at=last) for store in healthy(0).figures.stores))


def never_looked_at(minute: int, *stores: str) -> Round:
    """Nobody ever looked at these stores."""
    return healthy(minute, stores=tuple(
        replace(store, health="unknown", looked_at=None) if store.name in stores else store
        for store in healthy(minute).figures.stores))  # fmt: skip


def judged_last(minute: int, at: int | None) -> Round:
    """Alarms were not judged any more after the minute `at`: stores are looked at, and the task `alarms` fails."""
    return replace(healthy(minute), alarms_judged_at=None if at is None else EPOCH + min(minute, at) * EVERY)


def down(minute: int, since: int, until: int) -> Round:
    """The cloud does not answer for a while."""
    local, cloud = healthy(minute).figures.stores
    health = "unreachable" if since <= minute < until else "healthy"
    return healthy(minute, stores=(local, replace(cloud, health=health)))


def firing_in_the_catalogue(told: Round, alarm: str, *, by: Callable[[int], bool]) -> Round:
    """The same, and by the catalogue the alarm fires for the cloud at these minutes."""
    fires = by((told.figures.now - EPOCH) // EVERY)
    of_stores = {(LOCAL, alarm): False, (CLOUD, alarm): fires}
    return replace(told, store_alarms=of_stores, alarms={(alarm, "firing"): int(fires)})


def uploads(minute: int, since: int, *, seconds: float = 1, failed: Mapping[str, int], ok: int) -> Round:
    """From this minute on there have been uploads, all at once."""
    if minute < since:
        return healthy(minute)
    return healthy(
        minute,
        transfers=(
            TransferTotals("migrate", CLOUD, "succeeded", None, False, ok, lasted(*[seconds] * ok)),
            *(
                TransferTotals("migrate", CLOUD, "failed", code, False, 0, lasted(*[1.0] * count))
                for code, count in failed.items()
            ),
        ),
    )


def unprotected(minute: int, since: int, until: int) -> Round:
    return healthy(minute, unprotected_segments=3 if since <= minute < until else 0)


STORIES: Mapping[str, Story] = {
    "nothing is wrong": Story(healthy, 90, {1: {}, 40: {}, 90: {}}),
    "uploads of an estate that never had any go well": Story(
        lambda minute: uploads(minute, 30, failed={}, ok=100), 46, {31: {}, 45: {}}
    ),
    "a store does not answer for half an hour": Story(
        lambda minute: down(minute, 20, 50),
        90,
        {
            19: {},
            22: {"store_unreachable": "pending"},
            30: {"store_unreachable": "firing"},
            70: {"store_unreachable": "firing"},  # kept, so that it does not come and go
            85: {},
        },
    ),
    "the catalogue's alarm lasts longer than the outage": Story(
        lambda minute: firing_in_the_catalogue(
            down(minute, 20, 50), "store_unreachable", by=lambda minute: 25 <= minute < 90),
        95,
        {30: {"store_unreachable": "firing"}, 70: {"store_unreachable": "firing"}, 85: {}},  # one alert, and no second
    ),
    "a store is not ours": Story(
        lambda minute: firing_in_the_catalogue(
            down(minute, 20, 50), "store_not_ours", by=lambda minute: 20 <= minute < 50),
        60,
        {30: {"store_not_ours": "firing"}, 60: {"store_not_ours": "firing"}},
    ),
    "the catalogue's alarm lasts longer than uploads fail": Story(
        lambda minute: firing_in_the_catalogue(
            uploads(minute, 30, failed={"store_timeout": 10}, ok=90), "upload_failures", by=lambda minute: minute > 30),
        60,
        {31: {"upload_failures": "firing"}, 60: {"upload_failures": "firing"}},
    ),
    "one upload in ten fails": Story(
        lambda minute: uploads(minute, 30, failed={"store_timeout": 10}, ok=90),
        165,
        {29: {}, 31: {"upload_failures": "firing"}, 150: {"upload_failures": "firing"}, 160: {}},
    ),
    "one upload in ten fails, and too few to tell": Story(
        lambda minute: uploads(minute, 30, failed={"store_timeout": 1}, ok=9), 36, {31: {}, 34: {}}
    ),
    "one upload in ten fails, as the source is damaged": Story(
        lambda minute: uploads(minute, 30, failed={"source_corrupted": 10}, ok=90), 36, {31: {}, 34: {}}
    ),
    "the first upload is refused": Story(
        lambda minute: uploads(minute, 30, failed={"access_denied": 1}, ok=0), 32, {31: {"access_denied": "firing"}}
    ),
    "the first uploads are slow": Story(
        lambda minute: uploads(minute, 30, seconds=45, failed={}, ok=40), 32, {31: {"slow_uploads": "firing"}}
    ),
    "segments have no good copy": Story(
        lambda minute: unprotected(minute, 20, 25),
        60,
        {19: {}, 21: {"unprotected_footage": "firing"}, 50: {"unprotected_footage": "firing"}, 58: {}},
    ),
    "report_metrics is paused": Story(
        lambda minute: looked_at_last(minute, 30),
        120,
        {89: {}, 92: {"nobody_watches": "pending"}, 110: {"nobody_watches": "firing"}},
    ),
    "the API server is gone": Story(
        lambda minute: healthy(minute) if minute < 30 else None,
        60,
        {29: {}, 36: {"nobody_watches": "pending"}, 55: {"nobody_watches": "firing"}},
    ),
    "no store was ever looked at": Story(
        lambda minute: never_looked_at(minute, "local", "cloud"),
        30,
        {2: {"nobody_watches": "pending"}, 20: {"nobody_watches": "firing"}},
    ),
    "one store was never looked at": Story(
        lambda minute: never_looked_at(minute, "local"),
        30,
        {2: {"nobody_watches": "pending"}, 20: {"nobody_watches": "firing"}},
    ),
    "stores are looked at, and alarms not judged any more": Story(
        lambda minute: judged_last(minute, 30),
        120,
        {89: {}, 92: {"nobody_watches": "pending"}, 110: {"nobody_watches": "firing"}},
    ),
    "alarms were never judged": Story(
        lambda minute: judged_last(minute, None),
        30,
        {2: {"nobody_watches": "pending"}, 20: {"nobody_watches": "firing"}},
    ),
    "a Pushgateway goes on to show the last figures it was given": Story(
        lambda minute: healthy(min(minute, 30)),
        120,
        {89: {}, 92: {"nobody_watches": "pending"}, 110: {"nobody_watches": "firing"}},
    ),
}  # fmt: skip


def series(story: Story) -> list[dict[str, str]]:
    """What Prometheus read, minute by minute, in promtool's notation."""
    found: dict[str, list[str]] = defaultdict(list)
    for minute in range(story.minutes + 1):
        if (told := story.at(minute)) is None:
            continue
        for family in registry_of(told, Limits()).collect():
            for sample in family.samples:
                labels = ",".join(f'{name}="{value}"' for name, value in {**sample.labels, **SCRAPED}.items())
                values = found[f"{sample.name}{{{labels}}}"]
                values += ["_"] * (minute - len(values))
                values.append(f"{sample.value:g}" if abs(sample.value) < 1e5 else f"{sample.value:.0f}")
    return [{"series": name, "values": " ".join(values)} for name, values in found.items()]


def alerts(states: Mapping[str, str]) -> list[str]:
    """The labels of the alerts that are meant: those of stores are the cloud's."""
    of_stores = {name for name, alarm in definitions(load_estate(ROOT / "deploy/estate.toml")).items()
                 if alarm.per == "store"}  # fmt: skip
    return [
        f'{{alarm="{name}",alertstate="{state}"' + (',store="cloud"}' if name in of_stores else "}")
        for name, state in states.items()
    ]


def test_alarms_fire_when_they_should_and_never_else(tmp_path: Path) -> None:
    tests = [
        {
            "name": name,
            "interval": "1m",
            "input_series": series(story),
            "promql_expr_test": [
                {
                    "expr": "sum by (alarm, alertstate, store) (ALERTS)",
                    "eval_time": f"{minute}m",
                    "exp_samples": [{"labels": labels, "value": 1} for labels in alerts(states)],
                }
                for minute, states in story.expected.items()
            ],
        }
        for name, story in STORIES.items()
    ]
    told: Sequence[str] = judged(tmp_path, tests)
    assert told == [], "\n".join(told)


def judged(folder: Path, tests: list[dict[str, Any]]) -> list[str]:
    """What promtool has to say against them."""
    file = folder / "tests.yml"
    file.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}))  # YAML, too
    assert PROMTOOL is not None
    run = subprocess.run([PROMTOOL, "test", "rules", file], capture_output=True, text=True, check=False)
    return [] if run.returncode == 0 else (run.stdout + run.stderr).splitlines()
