"""The last check of the catalogue on the page: what was expected and is not so."""

from dataclasses import dataclass
from datetime import datetime

from reelkeeper.catalogue.quality import QualityResult, QualityRun
from reelkeeper.reporting.page.safety import Level
from reelkeeper.wording import ago, counted

_OUTCOMES: dict[str, tuple[Level, str]] = {
    "passed": ("good", "all that is expected is so"), "warned": ("warning", "something should be looked at"),
    "failed": ("bad", "something is wrong"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ExpectationView:
    """An expectation that is not met. `path` leads to all rows that are wrong, empty when there is no such report."""

    name: str
    level: Level
    failing: str
    path: str


@dataclass(frozen=True, slots=True)
class CheckView:
    """A check, worded. `path` leads to its Data Docs; empty: there are none."""

    level: Level
    outcome: str
    when: str
    met: str
    path: str
    unmet: tuple[ExpectationView, ...]


def check(run: QualityRun | None, *, now: datetime) -> CheckView | None:
    """None: nothing was checked yet."""
    if run is None:
        return None
    level, outcome = _OUTCOMES[run.outcome]
    unmet = sorted((result for result in run.results if not result.success), key=lambda result: result.severity)
    met = f"{len(run.results) - len(unmet)} of {counted(len(run.results), 'expectation')} met"
    return CheckView(
        level, outcome, ago(run.finished_at, now), met, run.docs_path or "", tuple(map(_expectation, unmet))
    )  # fmt: skip


def _expectation(result: QualityResult) -> ExpectationView:
    rows = f"{result.failing:,} of {counted(result.looked_at, 'row')}"
    level: Level = "bad" if result.severity == "fail" else "warning"
    name = f"{result.suite}: {result.expectation}".replace("_", " ")
    return ExpectationView(name, level, rows, result.report_path or "")
