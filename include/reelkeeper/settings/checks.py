"""What the parts of an estate must be to one another. Each check tells what it can, whatever else is wrong."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from reelkeeper.model import StoreKind
from reelkeeper.settings.problems import Location
from reelkeeper.settings.sections.delivery import Delivery
from reelkeeper.settings.sections.intake import LandingZone
from reelkeeper.settings.sections.keeping import Verification
from reelkeeper.settings.sections.placement import Placement
from reelkeeper.settings.sections.stores import StoreSettings
from reelkeeper.settings.sections.watching import Alarms
from reelkeeper.settings.values import pattern_problem

OWN_PREFIXES = ("media/", "thumbnails/", "exports/", "reports/", "quarantine/", "temp/")
"""Where our own objects are in a store: a landing zone may not look there."""
_Finding = tuple[Location, object, str]


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts that are right by themselves, by their index in the file, and the names of all stores."""

    stores: Mapping[int, StoreSettings]
    zones: Mapping[int, LandingZone]
    placement: Placement | None
    delivery: Delivery | None
    verification: Verification | None
    alarms: Alarms | None
    store_names: tuple[str, ...]

    def store(self, name: str | None) -> StoreSettings | None:
        return next((store for store in self.stores.values() if store.name == name), None)


def contradictions(parts: Parts) -> Iterator[_Finding]:
    """Where it stands, the value (None: not worth showing), and what was expected."""
    yield from _names(parts)
    yield from _stores_apart(parts)
    yield from _placement(parts)
    yield from _tiers(parts)
    yield from _delivery(parts)
    yield from _verification(parts)
    for index, zone in parts.zones.items():
        yield from _patterns(index, zone)
        if zone.path is not None:
            yield from _folder(parts, index, zone, zone.path)
        elif zone.store is not None:
            yield from _prefix(parts, index, zone, zone.store)
    yield from _zones_apart(parts)


def _names(parts: Parts) -> Iterator[_Finding]:
    tables: tuple[tuple[str, Mapping[int, StoreSettings | LandingZone]], ...] = (
        ("stores", dict(parts.stores)),
        ("landing_zones", dict(parts.zones)),
    )
    for table, rows in tables:
        first: dict[str, int] = {}
        for index, row in rows.items():
            if first.setdefault(row.name, index) != index:
                yield (table, index, "name"), row.name, f"expected another name: {table}[{first[row.name]}] has it"
    for index, store in parts.stores.items():
        if store.kind is StoreKind.MEMORY:
            kinds = [str(kind) for kind in StoreKind if kind is not StoreKind.MEMORY]
            yield ("stores", index, "kind"), "memory", f"expected one of {kinds}: memory forgets with its process"


def _stores_apart(parts: Parts) -> Iterator[_Finding]:
    for (_, one), (index, other) in combinations(parts.stores.items(), 2):
        if one.root and other.root and _overlap(one.root, other.root):
            yield (
                ("stores", index, "root"),
                str(other.root),
                f"expected a folder apart from that of store {one.name!r}, {str(one.root)!r}",
            )
        elif one.bucket and one.bucket == other.bucket and _server(one) == _server(other):
            yield ("stores", index, "bucket"), other.bucket, f"expected another bucket than that of store {one.name!r}"


def _server(store: StoreSettings) -> str:
    """What tells one namespace of buckets from another: AWS and Google have one each."""
    if store.endpoint_url:
        return server_at(store.endpoint_url)
    return store.connection if store.kind is StoreKind.MINIO else str(store.kind)


def server_at(url: str) -> str:
    """`host:port` of a server's address, however that is spelt."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


def _placement(parts: Parts) -> Iterator[_Finding]:
    placement = parts.placement
    if placement is None:
        return
    roles: tuple[Literal["local_store", "cloud_store", "thumbnail_store", "export_store"], ...]
    roles = ("local_store", "cloud_store", "thumbnail_store", "export_store")
    for role in roles:
        name = getattr(placement, role)
        if name is not None and name not in parts.store_names:
            yield ("placement", role), name, f"expected one of the stores {list(parts.store_names)}"
    local = parts.store(placement.local_store)
    if local and placement.mode != "local" and local.kind not in (StoreKind.FILESYSTEM, StoreKind.MINIO):
        yield (
            ("placement", "local_store"),
            local.name,
            f"expected a store of kind 'filesystem' or 'minio' in mode {placement.mode!r}; it is {str(local.kind)!r}",
        )
    if placement.mode in ("cloud", "hybrid") and placement.cloud_store is None:
        yield ("placement", "cloud_store"), None, f"missing: mode {placement.mode!r} needs it"
    if placement.cloud_store is not None and placement.cloud_store == placement.local_store:
        yield ("placement", "cloud_store"), placement.cloud_store, "expected another store than local_store"


def _tiers(parts: Parts) -> Iterator[_Finding]:
    for index, store in parts.stores.items():
        others = [name for name in parts.store_names if name != store.name]
        for tier, place in store.tiers.items():
            if place.store is not None and place.store not in others:
                yield (
                    ("stores", index, "tiers", str(tier), "store"),
                    place.store,
                    f"expected one of the stores {others}",
                )
            if place.prefix in OWN_PREFIXES:
                yield (
                    ("stores", index, "tiers", str(tier), "prefix"),
                    place.prefix,
                    f"expected a prefix apart from {list(OWN_PREFIXES)}, such as 'cool/'",
                )


def _delivery(parts: Parts) -> Iterator[_Finding]:
    delivery = parts.delivery
    if delivery is None:
        return
    if delivery.cdn_store is not None and delivery.cdn_store not in parts.store_names:
        yield ("delivery", "cdn_store"), delivery.cdn_store, f"expected one of the stores {list(parts.store_names)}"
    kept = tuple(prefix for prefix in OWN_PREFIXES if prefix != "temp/")
    for position, prefix in enumerate(delivery.upload_prefixes):
        if prefix.startswith(kept):
            yield (
                ("delivery", "upload_prefixes", position),
                prefix,
                f"expected one apart from where we alone write, {list(kept)}",
            )


def _verification(parts: Parts) -> Iterator[_Finding]:
    """An alarm about old verifications that comes before they are due would never end."""
    if parts.verification is None or parts.alarms is None or "verification_overdue" in parts.alarms.off:
        return
    cycle, most = parts.verification.cycle_days, parts.alarms.unverified_days
    if most <= cycle:
        yield ("alarms", "unverified_days"), most, f"expected more than verification.cycle_days, which is {cycle}"


def _patterns(index: int, zone: LandingZone) -> Iterator[_Finding]:
    for position, pattern in enumerate(zone.patterns):
        if expected := pattern_problem(pattern, camera_given=zone.camera is not None):
            yield ("landing_zones", index, "patterns", position), pattern, expected


def _folder(parts: Parts, index: int, zone: LandingZone, path: Path) -> Iterator[_Finding]:
    roots = [store for store in parts.stores.values() if store.root is not None]
    location = ("landing_zones", index, "path")
    if zone.handling == "adopt":
        if not any(_inside(path, store.root) for store in roots if store.root):
            folders = {store.name: str(store.root) for store in roots}
            yield location, str(path), f"expected a folder inside a filesystem store for handling 'adopt': {folders}"
        elif any(_inside(path, store.root / own) for store in roots if store.root for own in OWN_PREFIXES):
            yield location, str(path), f"expected a folder apart from where our own objects are, {list(OWN_PREFIXES)}"
        return
    for store in roots:
        if store.root and _overlap(path, store.root):
            yield (
                location,
                str(path),
                f"expected a folder apart from {str(store.root)!r} of store {store.name!r}, or handling 'adopt'",
            )


def _prefix(parts: Parts, index: int, zone: LandingZone, name: str) -> Iterator[_Finding]:
    if name not in parts.store_names:
        yield ("landing_zones", index, "store"), name, f"expected one of the stores {list(parts.store_names)}"
    if any(zone.prefix.startswith(own) or own.startswith(zone.prefix) for own in OWN_PREFIXES):
        yield (
            ("landing_zones", index, "prefix"),
            zone.prefix,
            f"expected one apart from where our own objects are, {list(OWN_PREFIXES)}, such as 'incoming/'",
        )


def _zones_apart(parts: Parts) -> Iterator[_Finding]:
    for (_, one), (index, other) in combinations(parts.zones.items(), 2):
        taken = f"expected it apart from landing zone {one.name!r}: both would take the same files"
        if one.path and other.path and _overlap(one.path, other.path):
            yield ("landing_zones", index, "path"), str(other.path), taken
        if one.urls and other.urls and one.urls == other.urls:
            yield ("landing_zones", index, "urls"), str(other.urls), taken
        same_store = one.store is not None and one.store == other.store
        if same_store and (one.prefix.startswith(other.prefix) or other.prefix.startswith(one.prefix)):
            yield ("landing_zones", index, "prefix"), other.prefix, taken


def _overlap(one: Path, other: Path) -> bool:
    return _inside(one, other) or _inside(other, one)


def _inside(path: Path, folder: Path) -> bool:
    """Whether `path` is `folder` or lies in it, links resolved as far as this machine knows them."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))
