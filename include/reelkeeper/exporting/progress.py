"""How far an export is: percents in its row, and whatever its task makes of them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from uuid import UUID

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.export_records import Export
from reelkeeper.errors import CatalogueUnavailable, ExportEnded

Told = Callable[[float], None]
"""Told how much of a task's work is done, from 0 to 1."""
_EVERY_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Phase:
    """The percents of an export that a part of the work fills."""

    low: int
    high: int


RESTORE = Phase(0, 5)
CUT = Phase(5, 80)
COMPOSE = Phase(80, 95)


class ExportProgress:
    """Writes progress into the row, now and then. A number says of which camera.

    A worker whose attempt is over hears so by ExportEnded, and need not go on.
    """

    def __init__(
        self, catalogue: Catalogue, export: Export, phase: Phase, *, now: Callable[[], datetime],
        number: int | None = None, told: Told | None = None, clock: Callable[[], float] = monotonic,
    ) -> None:  # fmt: skip
        self._catalogue, self._export, self._phase, self._number = catalogue, export, phase, number
        self._now, self._told, self._clock = now, told, clock
        self._written = clock()

    def __call__(self, done_ratio: float) -> None:
        """So much is done, from 0 to 1. Nobody waits for the catalogue because of it."""
        if self._told:
            self._told(done_ratio)
        if done_ratio < 1 and self._clock() - self._written < _EVERY_SECONDS:
            return
        self._written = self._clock()
        try:
            self._catalogue.exports.note_progress(
                self._export, self._phase.low, self._phase.high, number=self._number, done_ratio=done_ratio,
                now=self._now(),
            )  # fmt: skip
        except CatalogueUnavailable:  # what matters is recorded elsewhere, with retries
            return


def tell_restoring(catalogue: Catalogue, identity: UUID, waiting: str, *, now: datetime) -> None:
    """Write into an export's row how much can be read of what was archived; `waiting` is who waits for its restores."""
    counts, export = catalogue.restores.counts(waiting), catalogue.exports.get(identity)
    wanted = counts.open + counts.readable - counts.extended
    if export is None or not wanted:
        return
    done_ratio = (counts.readable - counts.extended) / wanted
    try:
        catalogue.exports.note_progress(export, RESTORE.low, RESTORE.high, done_ratio=done_ratio, now=now)
    except ExportEnded:  # its own task says so
        return
