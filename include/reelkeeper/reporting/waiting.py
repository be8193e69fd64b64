"""What waits for a person, as the catalogue knows it: the same for the Estate page and the daily report.

Alarms that are up, and what Airflow asks people, wait too: they are told apart, as they are answered apart.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from reelkeeper.catalogue.quality import QualityResult, QualityRun
from reelkeeper.policy.alarm_states import AlarmState
from reelkeeper.reporting.figures import Figures
from reelkeeper.reporting.page.safety import Level
from reelkeeper.wording import ago, counted


@dataclass(frozen=True, slots=True)
class Decision:
    """Something that waits for a person: what, and what to do about it."""

    level: Level
    what: str
    details: tuple[str, ...]
    do: str


def findings(
    figures: Figures, states: Sequence[AlarmState], quality: QualityRun | None, *, now: datetime
) -> tuple[Decision, ...]:
    """What was found that a person must settle, the worst first. `states`: the alarms that are up, which tell of some
    of it themselves; `quality`: the last check of the catalogue."""
    told = {state.subject for state in states if state.name == "orphans_above_cap"}
    found = [*_of_reconciliations(figures, told, now), *_of_quality(quality, now), *_of_landing(figures)]
    return tuple(sorted(found, key=lambda each: each.level != "bad"))


def _of_reconciliations(figures: Figures, told: Collection[str], now: datetime) -> Iterator[Decision]:
    """`told`: the stores of whose orphans an alarm speaks already."""
    for store in figures.stores:
        when = ago(store.reconciled_at, now) if store.reconciled_at else ""
        if store.reconcile_outcome == "refused" and store.name not in told:
            yield Decision(
                "warning",
                f"Store {store.name} had more orphans than one run may take away.",
                (f"{counted(store.orphans, 'orphan')}, found {when} ago; nothing was taken",),
                "Read the report of reconcile_stores, then approve what its next run asks, or raise the cap.",
            )
        elif store.reconcile_outcome == "sick":
            yield Decision(
                "bad",
                f"Store {store.name} lacked so much at once that it was doubted as a whole.",
                (f"found {when} ago; nothing was concluded",),
                "See whether the right disk or bucket is there; if it is, run reconcile_stores with accept_loss.",
            )


def _of_quality(quality: QualityRun | None, now: datetime) -> Iterator[Decision]:
    if quality is None or quality.outcome == "passed":
        return
    unmet = [result for result in quality.results if not result.success]
    told = counted(len(unmet), "expectation of the catalogue is", "expectations of the catalogue are")
    yield Decision(
        "bad" if quality.outcome == "failed" else "warning",
        f"{told} not met, as checked {ago(quality.finished_at, now)} ago.",
        tuple(f"{wording(result.expectation)}: {_rows(result)}" for result in unmet),
        "Read the page of check_catalogue: it names the rows.",
    )


def _rows(result: QualityResult) -> str:
    return f"{result.failing:,} of {counted(result.looked_at, 'row')}"


def wording(name: str) -> str:
    """A name of the code, an expectation's say, as people read it."""
    return name.replace("_", " ")


def _of_landing(figures: Figures) -> Iterator[Decision]:
    if figures.quarantined_files:
        yield Decision(
            "warning",
            f"{counted(figures.quarantined_files, 'file')} that came in could not become footage.",
            (),
            "They lie in .quarantine of their landing zone; table landing_files has the reason of each.",
        )
