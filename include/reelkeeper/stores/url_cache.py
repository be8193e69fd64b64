"""Signed URLs, kept for those who ask for the same one again."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock

from cachetools import TLRUCache

from reelkeeper.stores.signing import SignedUrl

MOST_ENTRIES = 10_000
LONGEST = timedelta(hours=1)
MARGIN = timedelta(minutes=1)
"""A URL is made anew when it has less than this to live."""


@dataclass(frozen=True, slots=True)
class CacheStatistics:
    """How the cache does. `entries` are those that can be given out now."""

    entries: int
    most_entries: int
    hits: int
    misses: int

    @property
    def hit_ratio(self) -> float:
        """Share of the requests that were answered from the cache, 0 to 1."""
        return self.hits / (self.hits + self.misses) if self.hits else 0.0


@dataclass(frozen=True, slots=True)
class Cleared:
    """How many entries went, and how many stayed."""

    removed: int
    remaining: int


class UrlCache:
    """At most 10,000 URLs, each for an hour or until a minute before it expires. Threads may share it.

    Two threads that miss the same one both make it; the later one stays.
    """

    def __init__(self, clock: Callable[[], datetime], most_entries: int = MOST_ENTRIES) -> None:
        self._clock = clock
        self._lock = Lock()
        self._hits = self._misses = 0
        self._entries: TLRUCache[str, tuple[Hashable, SignedUrl]] = TLRUCache(
            most_entries, ttu=lambda _, entry, now: _until(entry[1], now), timer=lambda: clock().timestamp()
        )

    def get(
        self, name: str, asked: Hashable, make: Callable[[], SignedUrl], *, force_refresh: bool = False
    ) -> SignedUrl:
        """The URL called `name`, made by `make` unless it is here, or `force_refresh`.

        One that was made for something else than `asked` (a shorter life, say) is made anew and takes its place.
        """
        with self._lock:
            known = None if force_refresh else self._entries.get(name)
            if known is not None and known[0] == asked:
                self._hits += 1
                return known[1]
            self._misses += 1
        made = make()
        with self._lock:
            self._entries[name] = (asked, made)  # one that is about to expire is not kept
        return made

    def statistics(self) -> CacheStatistics:
        with self._lock:
            return CacheStatistics(len(self._entries), int(self._entries.maxsize), self._hits, self._misses)

    def clear_expired(self) -> Cleared:
        """Forget the URLs that would not be given out any more."""
        with self._lock:
            return Cleared(len(self._entries.expire()), len(self._entries))


def _until(made: SignedUrl, now: float) -> float:
    """Until when a URL is given out, in seconds since 1970."""
    longest = now + LONGEST.total_seconds()
    return longest if made.expires_at is None else min(longest, (made.expires_at - MARGIN).timestamp())
