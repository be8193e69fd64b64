"""Replicas to be verified, and what a look at them found."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from reelkeeper.catalogue.mapping import bounds, replica_of
from reelkeeper.catalogue.recording import retire_others_again
from reelkeeper.catalogue.session import Rows, Session
from reelkeeper.model import CameraId, Replica, StoreName, TimeRange
from reelkeeper.policy.rollout import BUCKETS

_FIRST_ID = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which replicas of a store are to be looked at: those last proved, or seen, before a time."""

    store: StoreName
    before: datetime
    sample_buckets: int = BUCKETS  # of 0.01 %; all of them: no sample
    seed: int = 0  # 64 bits, signed: which ones a sample takes
    camera_id: CameraId | None = None
    starts_in: TimeRange | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A replica that was found as recorded: by reading it whole (`is_proved`), or by its being there."""

    replica: Replica
    at: datetime
    is_proved: bool


class Verification:
    """What `verify_replicas` asks and tells. Pages may be pulled while what was found is recorded."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def to_prove(self, selection: Selection, page: int) -> Iterator[Replica]:
        """The available replicas, those first that were proved longest ago; of an archived one being seen is proof."""
        after: Mapping[str, object] = {"after_time": "-infinity", "after_id": _FIRST_ID}
        while rows := self._session.rows("replicas_to_prove", limit=page, **_asked(selection), **after):
            yield from (replica_of(row, row.segment_id) for row in rows)
            after = {"after_time": rows[-1].proved_at, "after_id": rows[-1].segment_id}

    def count_to_prove(self, selection: Selection) -> dict[str | None, tuple[int, int]]:
        """How many those are, and their bytes, by storage class."""
        rows = self._session.rows("count_to_prove", **_asked(selection))
        return {row.storage_class: (row.replicas, row.size_bytes) for row in rows}

    def to_see(self, selection: Selection, page: int) -> Iterator[list[Replica]]:
        """The available replicas in pages by path, so that neighbours lie in one listing."""
        after = ""
        while rows := self._session.rows("replicas_to_see", limit=page, after_path=after, **_asked(selection)):
            yield [replica_of(row, row.segment_id) for row in rows]
            after = rows[-1].path

    def count_to_see(self, selection: Selection) -> int:
        """How many those are."""
        return int(self._session.row("count_to_see", **_asked(selection)).replicas)

    def suspicious(self, selection: Selection, page: int) -> Iterator[Replica]:
        """The suspicious replicas, whenever they were looked at, sample or not."""
        after: Mapping[str, object] = {"after_time": "-infinity", "after_id": _FIRST_ID}
        while rows := self._session.rows("suspicious_replicas", limit=page, **_narrowed(selection), **after):
            yield from (replica_of(row, row.segment_id) for row in rows)
            after = {"after_time": rows[-1].start_time, "after_id": rows[-1].segment_id}

    def bytes_proved_since(self, store: StoreName, since: datetime) -> int:
        """The bytes of replicas, older than `since`, that were read whole and found right since then."""
        return int(self._session.row("bytes_proved_since", store=store, since=since).size_bytes)

    def confirm(self, found: Sequence[Found], *, retire_others: datetime | None) -> int:
        """Record what was found as recorded. How many were doubted before, and are available again.

        A replica that has another path or state by now stays as it is. Other copies that were to retire before one of
        these was doubted get the date `retire_others` for it (None: none).
        """
        if not found:
            return 0
        span = bounds(one.replica.start_time for one in found)
        columns = ("segment_id", "start_time", "store", "path", "checksum")
        rows = [
            {column: getattr(one.replica, column) for column in columns}
            | {"found_at": one.at, "is_proved": one.is_proved}
            for one in found
        ]
        with self._session.transaction():
            healed = self._session.rows("confirm_replicas", rows=Rows(rows), **span)
            if healed:
                places = [{"segment_id": r.segment_id, "start_time": r.start_time, "store": r.store} for r in healed]
                self._session.execute("point_to_healed", rows=Rows(places), **span)
            retire_others_again(self._session, [one.replica for one in found], retire_others)
        return len(healed)


def _asked(selection: Selection) -> dict[str, object]:
    return {"before": selection.before, "buckets": selection.sample_buckets, "seed": selection.seed} | _narrowed(
        selection
    )


def _narrowed(selection: Selection) -> dict[str, object]:
    starts_in = selection.starts_in
    return {
        "store": selection.store,
        "camera_id": selection.camera_id,
        "range_start": starts_in.start if starts_in else "-infinity",
        "range_end": starts_in.end if starts_in else "infinity",
    }
