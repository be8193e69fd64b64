"""Thumbnails of what a batch took in: a task of its own, so that registration does not wait for pictures."""

import logging
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from tenacity import Retrying

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.records import StoredSegment, Thumbnail
from reelkeeper.errors import InvalidFootage, ObjectExists, ReelkeeperError, StoreFull
from reelkeeper.media.thumbnail import Thumbnail as Picture
from reelkeeper.media.thumbnail import make_thumbnail
from reelkeeper.model import BatchId, Key, Progress, StoreName, media_key, thumbnail_key
from reelkeeper.settings import Estate, StoreSettings
from reelkeeper.stores.body import Body
from reelkeeper.stores.protocols import Links, Reads, Store, WriteOptions
from reelkeeper.stores.retry import retrying

log = logging.getLogger(__name__)

WIDTH = 320
"""Pixels."""
_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class ThumbnailResult:
    """What became of the segments of a batch that had no thumbnail. `failed` ones stay without: they fail nothing."""

    made: int
    failed: int


def thumbnail_batch(
    estate: Estate,
    open_catalogue: Callable[[], Catalogue],
    open_store: Callable[[str], Store],
    batch_id: BatchId,
    *,
    progress: Progress | None = None,
    retry: Retrying | None = None,
) -> ThumbnailResult:
    """Make the missing thumbnails of the segments that a batch ingested. Doing it again makes those that failed.

    One that cannot be made is logged and counted. CatalogueUnavailable.
    """
    retry = retry or retrying()
    store = estate.store(estate.placement.thumbnail_store or estate.placement.local_store)
    maker = _Maker(estate, store, open_store, retry)
    counts: Counter[str] = Counter()
    bytes_done = 0
    with open_catalogue() as catalogue, ThreadPoolExecutor(2 * (os.cpu_count() or 1), "thumbnail") as pool:
        missing = retry(catalogue.thumbnails.missing, batch_id)
        size_bytes = sum(stored.segment.size_bytes for stored in missing)
        left = iter(missing)
        while chunk := list(islice(left, _AT_ONCE)):
            made = [thumbnail for thumbnail in pool.map(maker.make, chunk) if thumbnail is not None]
            retry(catalogue.thumbnails.record, made)
            counts.update(made=len(made), failed=len(chunk) - len(made))
            bytes_done += sum(stored.segment.size_bytes for stored in chunk)
            if progress:
                progress(counts.total(), len(missing), bytes_done, size_bytes)
    return ThumbnailResult(counts["made"], counts["failed"])


class _Maker:
    """Makes thumbnails and writes them. Safe for threads."""

    def __init__(
        self, estate: Estate, store: StoreSettings, open_store: Callable[[str], Store], retry: Retrying
    ) -> None:
        self._estate, self._store, self._open_store, self._retry = estate, store, open_store, retry

    def make(self, stored: StoredSegment) -> Thumbnail | None:
        """The thumbnail of a segment, written; None, and a line in the log, when it cannot be made."""
        segment = stored.segment
        try:
            with _on_this_machine(self._open_store(stored.replica.store), stored) as path:
                picture = make_thumbnail(path, width=WIDTH)
            key = thumbnail_key(
                media_key(
                    self._estate.tenant_name, stored.camera.slug, segment.start_time, segment.id, segment.extension
                )
            )
            self._retry(self._write, key, picture)
        except ReelkeeperError as exc:
            log.warning("segment %s has no thumbnail (%s): %s", segment.id, exc.code, exc)
            return None
        except Exception:  # decoders and PIL meet pictures that nobody thought of: the others go on
            log.exception("segment %s has no thumbnail", segment.id)
            return None
        return Thumbnail(
            segment.id, segment.start_time, StoreName(self._store.name), key, picture.width, picture.height
        )

    def _write(self, key: Key, picture: Picture) -> None:
        options = WriteOptions(content_type="image/jpeg", cache_control=self._store.cache_control)
        try:
            self._open_store(self._store.name).write(key, Body.of_bytes(picture.jpeg), options)
        except ObjectExists:
            log.debug("thumbnail %r is there from an earlier try", key)


@contextmanager
def _on_this_machine(store: Reads, stored: StoredSegment) -> Iterator[Path]:
    """The replica's file: itself where the store is a folder, else a temporary copy."""
    if isinstance(store, Links):
        path = store.path_of(stored.replica.path)
        if not path.exists():
            raise InvalidFootage(f"replica {stored.replica.path!r} is not in store {store.name!r}", code="no_picture")
        yield path
        return
    try:
        with tempfile.NamedTemporaryFile(prefix="reelkeeper-", suffix=f".{stored.segment.extension}") as file:
            for chunk in store.read(stored.replica.path):
                file.write(chunk)
            file.flush()
            yield Path(file.name)
    except ReelkeeperError:
        raise
    except OSError as exc:
        raise StoreFull(f"temporary folder {tempfile.gettempdir()!r} cannot hold the footage: {exc}") from exc
