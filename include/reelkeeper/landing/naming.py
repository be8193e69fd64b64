"""Which camera a landing file belongs to, and when its footage starts: sidecar, then path, then the zone."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from reelkeeper.errors import InvalidFootage
from reelkeeper.landing.patterns import pattern, read_path, require_tenant
from reelkeeper.landing.sidecar import Sidecar
from reelkeeper.landing.stamps import Stamp


@dataclass(frozen=True, slots=True)
class Named:
    """What is known of a file before its footage is looked at."""

    camera: str  # its id or name, as the file's maker writes it
    start: Stamp
    duration: timedelta | None  # as a sidecar says; None: as long as the footage


class Naming:
    """How a zone names its files."""

    def __init__(self, patterns: Iterable[str], timezone: str, camera: str | None, tenant: str) -> None:
        """`patterns` and `timezone` as in `settings.LandingZone`; `camera` where neither sidecar nor path has one."""
        self._texts = tuple(patterns)
        self._patterns = tuple(pattern(text) for text in self._texts)
        self._timezone = ZoneInfo(timezone)
        self._camera = camera
        self._tenant = tenant

    def name(self, path: str, sidecar: Sidecar | None, start: datetime | None) -> Named:
        """What `path`, its sidecar and the place it came from (`start`) say.

        InvalidFootage `bad_time`, `no_camera` or `wrong_tenant`.
        """
        said = sidecar or Sidecar()
        facts = None
        if start is None:  # a URL is no path of ours
            facts = read_path(path.lstrip("/"), self._patterns, self._timezone)
        if facts is not None:
            require_tenant(facts, self._tenant)
        moment = said.start_time or start
        stamp = facts.start if facts else None
        if moment is not None:
            stamp = Stamp.at(moment)
        if stamp is None:
            raise InvalidFootage(
                f"nothing says when {path!r} starts: expected a path that fits one of the patterns {self._texts}, or a "
                f"sidecar with 'start_time'",
                code="bad_time",
            )
        camera = said.camera_id or (facts and facts.camera) or self._camera
        if not camera:
            raise InvalidFootage(
                f"nothing says which camera recorded {path!r}: expected a path that does, a sidecar with 'camera_id', "
                f"or the zone's 'camera'",
                code="no_camera",
            )
        return Named(camera, stamp, said.duration)
