"""Footage on its way from a landing file into a store: place, write, verify; the local store when the cloud fails."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Literal

from tenacity import Retrying

from reelkeeper.catalogue.records import TransferRecord
from reelkeeper.errors import (
    ConfigurationError,
    InvalidFootage,
    InvalidKey,
    ObjectExists,
    ReelkeeperError,
    SourceCorrupted,
    StillGrowing,
    TransferCorrupted,
)
from reelkeeper.landing.source import Fetched, moment_of
from reelkeeper.media_options import media_options
from reelkeeper.model import Key, Replica, ReplicaState, Segment, StoreName, Tier
from reelkeeper.policy.placement import Destination, place
from reelkeeper.policy.rollout import Percentage
from reelkeeper.pricing import WritePlace, WritePlaces
from reelkeeper.settings import Estate
from reelkeeper.stores.body import Body, read_file
from reelkeeper.stores.breaker import Breaker
from reelkeeper.stores.proof import accept_existing, verify_object, verify_written
from reelkeeper.stores.protocols import Deletes, Links, Store

log = logging.getLogger(__name__)

_OF_THE_FILE = (InvalidFootage, InvalidKey, ObjectExists, SourceCorrupted, StillGrowing)
"""Errors that another store would meet as well."""
_AS_FOUND = WritePlace(Tier.HOT, None)
Sharing = Literal["no", "linked", "found"]
"""Whether a replica is the landing file itself: linked just now, or found to be."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A segment's bytes in a store, verified."""

    replica: Replica
    attempts: tuple[TransferRecord, ...]  # failed ones first; empty when adopted
    fell_back: bool = False
    sharing: Sharing = "no"


@dataclass(frozen=True, slots=True)
class _Place:
    """What is to be written where."""

    segment: Segment
    key: Key
    fetched: Fetched
    may_link: bool
    retention_days: int | None


class Keeper:
    """Keeps the footage of one batch. Safe for threads.

    A store that keeps failing is dropped for the batch (see `stores.breaker`): no further file waits for it.
    """

    def __init__(
        self,
        estate: Estate,
        open_store: Callable[[str], Store],
        *,
        percentage: Percentage,
        retry: Retrying,
        now: Callable[[], datetime],
    ) -> None:
        """`percentage` is the rollout's at this time."""
        self._estate, self._open_store, self._retry, self._now = estate, open_store, retry, now
        self._percentage, self._places = percentage, WritePlaces(estate)
        self._breakers = {store.store_name: Breaker(store.store_name) for store in estate.stores}

    def adopt(self, segment: Segment, fetched: Fetched) -> Kept:
        """Take the landing file itself for the replica, in the filesystem store that holds it. No byte moves.

        InvalidFootage `bad_name` when its path cannot be a key, StillGrowing when it was written to since it was read.
        ConfigurationError when no store holds it.
        """
        for settings in self._estate.stores:
            if settings.root is None or not fetched.path.is_relative_to(settings.root.resolve()):
                continue
            store = self._open_store(settings.name)
            assert isinstance(store, Links)  # what has a root is a filesystem store
            try:
                key = store.key_of(fetched.path)
            except InvalidKey as exc:
                raise InvalidFootage(f"file cannot stay where it is: {exc}", code="bad_name") from exc
            store.sync(key)  # nobody may have told the disk yet to keep it
            _expect_unchanged(store, key, fetched, "found")  # its bytes were just read
            return Kept(self._replica(segment, settings.store_name, key), (), sharing="found")
        raise ConfigurationError(
            f"file {str(fetched.path)!r} lies in no filesystem store: expected one, to adopt it where it is"
        )

    def keep(
        self, segment: Segment, key: Key, fetched: Fetched, *, may_link: bool, retention_days: int | None = None
    ) -> Kept:
        """Write the segment where policy wants it, under `key`, and verify it there.

        With `may_link` the replica may be the landing file under a second name, where the store is on the same file
        system. `retention_days`, the camera's (None: the estate's), and the size choose the tier, of those that can be
        read at once: there is no other copy.

        InvalidFootage `conflict` when other bytes are there already, StillGrowing when the file changed;
        another error when no store took it.
        """
        destination = self._destination(segment)
        place = _Place(segment, key, fetched, may_link, retention_days)
        lost: tuple[TransferRecord, ...] = ()
        try:
            if destination.fallback is None:
                return self._attempt(destination.store, place)
            breaker = self._breakers[destination.store]
            if breaker.error() is None:
                started = self._now()
                try:
                    return self._attempt(destination.store, place)
                except _OF_THE_FILE:
                    raise
                except ReelkeeperError as failed:
                    log.warning("segment %s falls back to store %r: %s", segment.id, destination.fallback, failed)
                    lost = (self._record(destination.store, segment, started, error=failed),)
            kept = self._attempt(destination.fallback, place, fallback=True)
        except _OF_THE_FILE as exc:
            raise _as_footage_error(exc) from exc
        return replace(kept, attempts=(*lost, *kept.attempts), fell_back=True)

    def expect_unchanged(self, kept: Kept, fetched: Fetched) -> None:
        """StillGrowing when the replica is the landing file itself, and was written to since it was read.

        Whoever has the file open writes into the replica, too. A link that was just made is taken away.
        """
        if kept.sharing == "no":
            return
        store = self._open_store(kept.replica.store)
        assert isinstance(store, Links)  # no other store shares files
        _expect_unchanged(store, kept.replica.path, fetched, kept.sharing)

    def dropped(self) -> ReelkeeperError | None:
        """Why the local store, which everything falls back to, takes nothing more; None while it does."""
        return self._breakers[StoreName(self._estate.placement.local_store)].error()

    # --- inside -------------------------------------------------------------------------------------------------------

    def _destination(self, segment: Segment) -> Destination:
        placement = self._estate.placement
        destination = place(
            placement.mode,
            placement.at_ingest,
            local=StoreName(placement.local_store),
            cloud=StoreName(placement.cloud_store) if placement.cloud_store else None,
            bucket=segment.rollout_bucket,
            percentage=self._percentage,
        )
        if destination is None:
            raise ConfigurationError(f"placement.mode is {placement.mode!r}: expected one in which footage is ingested")
        return destination

    def _attempt(self, store: StoreName, place: "_Place", *, fallback: bool = False) -> Kept:
        """One store, with the retries of a client. The breaker learns how it went."""
        breaker, started = self._breakers[store], self._now()
        if error := breaker.error():
            raise error
        try:
            written = self._tier(store, place)
            sharing, written = self._retry(self._write, store, place, written)
        except _OF_THE_FILE:
            raise
        except ReelkeeperError as exc:
            breaker.failed(exc)
            raise
        breaker.succeeded()
        record = self._record(store, place.segment, started, fallback=fallback)
        return Kept(self._replica(place.segment, store, place.key, written), (record,), sharing=sharing)

    def _tier(self, store: StoreName, place: "_Place") -> WritePlace:
        segment = place.segment
        return self._places.choose(
            self._estate.store(store), size_bytes=segment.size_bytes, start_time=segment.start_time,
            retention_days=place.retention_days, now=self._now(), readable=True,
        )  # fmt: skip

    def _write(self, name: StoreName, place: "_Place", written: WritePlace) -> tuple[Sharing, WritePlace]:
        """How it came there, and in which class it is: an earlier try may have chosen another."""
        store = self._open_store(name)
        path, to_prove = place.fetched.path, (place.key, place.segment.size_bytes, place.segment.checksum)
        if place.may_link and isinstance(store, Links):
            try:
                if store.link_in(path, place.key):
                    _expect_same_file(store, place.key, path)
                    if place.fetched.is_temporary:  # a file of our own, nobody else writes to it
                        return "no", written
                    _expect_unchanged(store, place.key, place.fetched, "linked")
                    return "linked", written
            except ObjectExists:
                accept_existing(store, *to_prove, attested=False)
                shared = not place.fetched.is_temporary and _is_same_file(store, place.key, path)
                return "found" if shared else "no", written
        attested = store.attests_writes
        body = Body(place.segment.size_bytes, place.segment.checksum, lambda: _read_landing_file(path))
        try:
            options = media_options(self._estate.store(name), place.segment.extension, written.storage_class)
            store.write(place.key, body, options)
        except ObjectExists:  # a killed run wrote it, or another worker, or something else is in the way
            found = accept_existing(store, *to_prove, attested=attested)
            return "no", written.of_existing(self._estate.store(name), found.storage_class)
        if attested:
            verify_object(store, *to_prove, attested=True)
        else:
            verify_written(store, *to_prove)
        return "no", written

    def _record(
        self,
        store: StoreName,
        segment: Segment,
        started: datetime,
        *,
        fallback: bool = False,
        error: ReelkeeperError | None = None,
    ) -> TransferRecord:
        return TransferRecord(
            segment.id, segment.start_time, None, store, segment.size_bytes, started, self._now(), fallback,
            error_code=error.code if error else None, error=str(error) if error else None,
        )  # fmt: skip

    def _replica(self, segment: Segment, store: StoreName, key: Key, written: WritePlace = _AS_FOUND) -> Replica:
        return Replica(
            segment.id, segment.start_time, store, key, segment.size_bytes, segment.checksum, ReplicaState.AVAILABLE,
            verified_at=self._now(), storage_class=written.storage_class, tier=written.tier,
        )  # fmt: skip


def _as_footage_error(error: ReelkeeperError) -> ReelkeeperError:
    if isinstance(error, ObjectExists):
        return InvalidFootage(f"the place of this segment is taken: {error}", code="conflict")
    if isinstance(error, InvalidKey):
        return InvalidFootage(f"this segment's key cannot be written: {error}", code="bad_name")
    if isinstance(error, SourceCorrupted):
        return StillGrowing(f"the file changed between two reads: {error}")
    return error


def _expect_same_file(store: Links, key: Key, source: Path) -> None:
    """What was hashed under one name is what lies under the other."""
    if not _is_same_file(store, key, source):
        raise TransferCorrupted(f"{key!r} is not the landing file after it was linked: expected the same file")


def _is_same_file(store: Links, key: Key, source: Path) -> bool:
    try:
        return store.path_of(key).samefile(source)
    except OSError as exc:
        raise TransferCorrupted(f"{key!r} cannot be looked at after it was linked: {exc.strerror}") from exc


def _expect_unchanged(store: Links, key: Key, fetched: Fetched, sharing: Sharing) -> None:
    try:
        facts = store.path_of(key).stat()
    except OSError as exc:
        raise TransferCorrupted(f"{key!r} cannot be looked at before it is recorded: {exc.strerror}") from exc
    now = (facts.st_size, moment_of(facts.st_mtime_ns))
    if now == (fetched.size_bytes, fetched.modified_at):
        return
    # Never the last name of footage: another worker may have recorded the link, and taken the landing file away.
    if sharing == "linked" and isinstance(store, Deletes) and _is_same_file(store, key, fetched.path):
        for error in store.delete([key]).values():
            raise error
    raise StillGrowing(
        f"{str(fetched.path)!r} was written to after it was read: it had {fetched.size_bytes} bytes, modified "
        f"{fetched.modified_at.isoformat()}, it has {now[0]}, {now[1].isoformat()}"
    )


def _read_landing_file(path: Path) -> Iterator[bytes]:
    try:
        yield from read_file(path)
    except OSError as exc:
        raise StillGrowing(f"landing file cannot be read any more: {exc.strerror}") from exc
