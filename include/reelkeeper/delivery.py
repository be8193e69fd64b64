"""URLs by which people and players get objects, and put new ones: signed by the store, by a CDN's key, or by ours.

A URL is a secret as long as it lives: none is logged, and `repr` shows none.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from reelkeeper.errors import AccessDenied, ConfigurationError
from reelkeeper.model import Key, StoreName, canonical_key
from reelkeeper.settings import Delivery, Estate
from reelkeeper.stores.cloudfront import UrlSigner, object_url
from reelkeeper.stores.own_links import OwnLinks
from reelkeeper.stores.protocols import Links, Named, Signs
from reelkeeper.stores.signing import SignedUrl, signed_for
from reelkeeper.stores.url_cache import CacheStatistics, Cleared, UrlCache


@dataclass(frozen=True, slots=True)
class Cdn:
    """What serves one store's objects on a domain of its own. `sign` is None where its URLs are not signed."""

    store: StoreName
    base_url: str
    prefixes: tuple[str, ...]
    sign: UrlSigner | None = field(default=None, repr=False)

    def serves(self, store: str, key: Key) -> bool:
        """Whether this object is read by way of it."""
        return store == self.store and key.startswith(self.prefixes)


def cdn_of(estate: Estate, sign: UrlSigner | None) -> Cdn | None:
    """The estate's CDN, None when it has none. `sign` by the key that `cloudfront_key_id` names."""
    delivery, placement = estate.delivery, estate.placement
    if delivery.cdn_base_url is None:
        return None
    behind = delivery.cdn_store or placement.cloud_store or placement.local_store
    return Cdn(StoreName(behind), delivery.cdn_base_url, delivery.cdn_prefixes, sign)


class Urls:
    """Makes URLs and keeps them for an hour. Threads may share it.

    `open_store` gives a store by its name; `links` makes URLs for stores that sign none.
    """

    def __init__(
        self,
        settings: Delivery,
        open_store: Callable[[str], Named],
        *,
        cdn: Cdn | None,
        links: OwnLinks,
        clock: Callable[[], datetime],
    ) -> None:
        self._settings = settings
        self._open_store = open_store
        self._cdn = cdn
        self._links = links
        self._clock = clock
        self._cache = UrlCache(clock)

    def download(
        self,
        store: str,
        key: Key,
        *,
        expires_in: timedelta | None = None,
        filename: str | None = None,
        force_refresh: bool = False,
    ) -> SignedUrl:
        """A URL that reads the object: on the CDN's domain when the CDN serves it, else signed by its store.

        It lives for min(`expires_in`, the credential's life, seven days), by default `url_seconds`. `filename`: what a
        browser saves it as (a CDN does not tell). Nobody looks whether the object is there. InvalidKey;
        CredentialsNotFound, AccessDenied; ConfigurationError for a store that has no URLs.
        """
        canonical_key(key)
        life = self._life(expires_in)
        return self._cache.get(
            f"download:{store}/{key}", (life, filename), lambda: self._reading(store, key, life, filename),
            force_refresh=force_refresh,
        )  # fmt: skip

    def upload(
        self, store: str, key: Key, *, expires_in: timedelta | None = None, force_refresh: bool = False
    ) -> SignedUrl:
        """A URL that PUTs a new object, below one of `upload_prefixes`. As `download`, and AccessDenied elsewhere."""
        if not canonical_key(key).startswith(self._settings.upload_prefixes):
            raise AccessDenied(
                f"key {key!r} cannot be uploaded: expected one below {list(self._settings.upload_prefixes)}"
            )
        life = self._life(expires_in)
        return self._cache.get(
            f"{store}/{key}", life, lambda: self._writing(store, key, life), force_refresh=force_refresh
        )

    def cache_statistics(self) -> CacheStatistics:
        return self._cache.statistics()

    def clear_expired(self) -> Cleared:
        """Forget the URLs that would not be given out any more."""
        return self._cache.clear_expired()

    # --- inside -------------------------------------------------------------------------------------------------------

    def _life(self, asked: timedelta | None) -> timedelta:
        return timedelta(seconds=self._settings.url_seconds) if asked is None else asked

    def _reading(self, name: str, key: Key, life: timedelta, filename: str | None) -> SignedUrl:
        if self._cdn is not None and self._cdn.serves(name, key):
            url = object_url(self._cdn.base_url, key)
            if self._cdn.sign is None:
                return SignedUrl(url, None)
            now = self._clock()
            ends = now + signed_for(life, expires_at=None, now=now)
            return SignedUrl(self._cdn.sign(url, ends), ends)
        store = self._open_store(name)
        if isinstance(store, Signs):
            return store.presign(key, expires_in=life, filename=filename)
        return self._links.make(
            _on_disk(store), key, method="GET", expires_in=life, filename=filename, now=self._clock()
        )

    def _writing(self, name: str, key: Key, life: timedelta) -> SignedUrl:
        store = self._open_store(name)
        if isinstance(store, Signs):
            return store.presign(key, method="PUT", expires_in=life)
        return self._links.make(_on_disk(store), key, method="PUT", expires_in=life, now=self._clock())


def _on_disk(store: Named) -> StoreName:
    """The store's name, if others can read it too. What one process has in memory, no other can serve."""
    if not isinstance(store, Links):
        raise ConfigurationError(
            f"store {store.name!r} of kind {str(store.kind)!r} has no URLs: expected one of another kind"
        )
    return store.name
