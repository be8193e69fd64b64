"""How far an export is: percents in its row, and whatever its task makes of them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from time import monotonic

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.export_records import Export
from reelkeeper.errors import CatalogueUnavailable

Told = Callable[[float], None]
"""Told how much of a task's work is done, from 0 to 1."""
_EVERY_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Phase:
    """The percents of an export that a part of the work fills."""

    low: int
    high: int


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
