"""From a zone's settings to its files."""

from collections.abc import Callable
from pathlib import Path

from reelkeeper.landing.folder import FolderSource
from reelkeeper.landing.naming import Naming
from reelkeeper.landing.prefix import PrefixSource, ZoneStore
from reelkeeper.landing.source import Source
from reelkeeper.landing.urls import UrlSource
from reelkeeper.model import Tenant
from reelkeeper.settings import LandingZone


def open_zone(
    zone: LandingZone,
    open_store: Callable[[str], ZoneStore],
    *,
    downloads: Path | None = None,
    ffmpeg: Path | None = None,
) -> Source:
    """The files of a zone. `downloads` is where URLs are fetched to, `ffmpeg` what joins their streams."""
    if zone.path is not None:
        return FolderSource(zone.name, zone.path, zone.extensions)
    if zone.store is not None:
        return PrefixSource(open_store(zone.store), zone.prefix, zone.extensions)
    assert zone.urls is not None  # checked by the settings
    return UrlSource(zone.name, zone.urls, downloads, ffmpeg)


def naming_of(zone: LandingZone, tenant: Tenant) -> Naming:
    """How the zone's files are named."""
    return Naming(zone.patterns, zone.timezone, zone.camera, tenant)
