"""The first thing that the page says: whether footage is safe."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from reelkeeper.catalogue.quality import QualityRun
from reelkeeper.model import ReplicaState
from reelkeeper.policy.quality import Name
from reelkeeper.reporting.figures import Figures, StoreFigures
from reelkeeper.wording import ago, counted, size

Level = Literal["good", "warning", "bad", "unknown"]
"""Of anything on the page: all is well; somebody should look; footage or a job is in danger; nothing can be said."""


@dataclass(frozen=True, slots=True)
class Safety:
    """One sentence, and what should be known beside it, the worst first."""

    level: Level
    sentence: str
    reasons: tuple[str, ...]
    facts: tuple[str, ...]


def safety(figures: Figures, check: QualityRun | None) -> Safety:
    """Whether every segment that is kept has a copy that was verified, whether each store answers, and what is known to
    be amiss. `check`: the last whole check of the catalogue, which sees what counts of copies cannot: footage that has
    lost its rows."""
    segments = sum(camera.segments for camera in figures.cameras)
    reasons = (*_of_stores(figures), *_of_copies(figures), *_of_check(check, figures.now))
    facts = tuple(_facts(figures, segments))
    if not segments:
        return Safety("warning" if reasons else "unknown", "No footage has come in yet.", reasons, facts)
    if lacking := figures.unprotected_segments:
        verb = "has" if lacking == 1 else "have"
        said = f"{lacking:,} of {counted(segments, 'segment')} {verb} no copy that is known to be good."
        return Safety("bad", said, reasons, facts)
    if check and (bare := _without_copy(check)):
        had = f"{counted(bare, 'segment')} had no verified copy"
        said = f"{had} when the catalogue was checked, {ago(check.finished_at, figures.now)} ago."
        return Safety("bad", said, reasons, facts)
    is_well = not reasons and _copies(figures, ReplicaState.AVAILABLE)
    return Safety("good" if is_well else "warning", _safe(figures, segments), reasons, facts)


def _safe(figures: Figures, segments: int) -> str:
    """What can be said where no segment lacks a copy that it should have. A condemned copy is none, and may have been a
    segment's last: that one has run out, say, and its deletion is decided."""
    if not _copies(figures, ReplicaState.CONDEMNED):
        said = "The only segment has" if segments == 1 else f"All {segments:,} segments have"
        return f"{said} at least one verified copy."
    if not _copies(figures, ReplicaState.AVAILABLE):
        waits = "The only segment waits" if segments == 1 else f"All {segments:,} segments wait"
        return f"{waits} for deletion: no verified copy is left."
    return f"Each of {counted(segments, 'segment')} has at least one verified copy, or only waits for its deletion."


def health_words(store: StoreFigures, now: datetime) -> str:
    """How a store is, in a few words."""
    why = f": {store.health_reason.replace('_', ' ')}" if store.health_reason else ""
    since = f" for {ago(store.health_since, now)}" if store.health_since and store.health != "healthy" else ""
    words = {
        "healthy": "answers", "unreachable": f"does not answer{since}{why}",
        "foreign": f"is not this catalogue's{since}{why}", "unknown": "nobody has looked at it yet",
    }  # fmt: skip
    return words[store.health]


def _of_stores(figures: Figures) -> Iterator[str]:
    for store in figures.stores:
        if store.health in ("unreachable", "foreign"):
            health = health_words(store, figures.now)
            yield f"Store {store.name} {health}. What it holds cannot be read now, nor proved."


def _of_copies(figures: Figures) -> Iterator[str]:
    lost = _copies(figures, ReplicaState.LOST)
    if lost:
        yield f"{counted(lost, 'copy', 'copies')} lost: reconcile_stores makes them anew where another copy is good."
    doubted = _copies(figures, ReplicaState.SUSPICIOUS)
    if doubted:
        yield f"{counted(doubted, 'copy', 'copies')} not found as recorded: each is looked at again before it counts."


def _of_check(check: QualityRun | None, now: datetime) -> Iterator[str]:
    if check and check.outcome == "failed":
        unmet = sum(not result.success for result in check.results if result.severity == "fail")
        told = counted(unmet, "expectation of the catalogue is", "expectations of the catalogue are")
        yield f"{told} not met, as checked {ago(check.finished_at, now)} ago: what is said here rests on it."


def _without_copy(check: QualityRun) -> int:
    """How many of the segments that were looked at had no verified copy."""
    return sum(result.failing for result in check.results if result.expectation is Name.VERIFIED_REPLICA)


def _copies(figures: Figures, state: ReplicaState) -> int:
    return sum(usage.replicas for usage in figures.usage if usage.state == state)


def _facts(figures: Figures, segments: int) -> Iterator[str]:
    copies = _copies(figures, ReplicaState.AVAILABLE)
    if segments:
        held = sum(usage.size_bytes for usage in figures.usage if usage.state == ReplicaState.AVAILABLE)
        yield (
            f"{counted(len(figures.cameras), 'camera')}, {counted(segments, 'segment')}, "
            f"{counted(copies, 'verified copy', 'verified copies')} of {size(held)}."
        )
    if condemned := _copies(figures, ReplicaState.CONDEMNED):
        wait = "waits" if condemned == 1 else "wait"
        yield f"{counted(condemned, 'condemned copy', 'condemned copies')} {wait} for deletion."
    if figures.oldest_unverified:
        proved = ago(figures.oldest_unverified, figures.now)
        yield f"The copy that waits longest to be proved again was proved {proved} ago."
    if figures.rollout.unmigrated and figures.rollout.oldest_unmigrated:
        waits = ago(figures.rollout.oldest_unmigrated, figures.now)
        yield f"{counted(figures.rollout.unmigrated, 'segment')} still to go to the cloud, the oldest from {waits} ago."
    if figures.quarantined_files:
        yield f"{counted(figures.quarantined_files, 'file')} of the landing zones in quarantine."
