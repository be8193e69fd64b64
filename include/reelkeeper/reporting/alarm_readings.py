"""What the alarms measure, read off an estate's figures and its latest transfers. What cannot be told has no value.

Every subject has a reading each round, also one that is well: an alarm whose subject has none is over.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from reelkeeper.model import ReplicaState, StoreName
from reelkeeper.policy.alarms import Alarm, AlarmName, AlarmTerms, Reading
from reelkeeper.policy.caps import soft_cap
from reelkeeper.policy.ramp import Measured
from reelkeeper.ramp import BY_ITSELF
from reelkeeper.reporting.figures import CameraFigures, Figures, StoreFigures, TransferTotals
from reelkeeper.settings import Estate
from reelkeeper.wording import usd

STALE_AFTER = timedelta(hours=1)
"""A look at a store that is older tells nothing about it now."""
REFUSALS = ("access_denied", "credentials_not_found")
"""Codes of errors that mean: our credentials, or their rights."""


MEMORY = timedelta(hours=48)
"""How long uploads say something of a store that few reach."""
FAILED_IN_A_ROW = 3
"""From so many failures on, without a success between them, a store takes nothing: where a breaker stops asking it, a
whole run leaves one to five."""


@dataclass(frozen=True, slots=True)
class Streak:
    """Uploads to a store over MEMORY."""

    uploads: int = 0
    failed_since_success: int = 0  # in the hours after the last one in which any succeeded


@dataclass(frozen=True, slots=True)
class Latest:
    """What is read beside the figures: the transfers since shortly before the last round, and a forecast."""

    uploads: Mapping[StoreName, Measured] = field(default_factory=dict)
    streaks: Mapping[StoreName, Streak] = field(default_factory=dict)
    refusals: Mapping[StoreName, int] = field(default_factory=dict)
    forecast_usd: float | None = None  # what storage will cost a month; None: the history is too short


def terms(estate: Estate) -> AlarmTerms:
    """From where on things are wrong, as estate.toml says."""
    said = estate.alarms
    return AlarmTerms(
        max_failure_ratio=said.max_failure_ratio,
        max_upload_seconds=said.max_upload_seconds,
        budget_usd=None if said.budget_usd is None else float(said.budget_usd),
        unverified_days=said.unverified_days,
        camera_silent_hours=said.camera_silent_hours,
        recover=timedelta(minutes=said.recover_minutes),
    )


def readings(
    estate: Estate, alarms: Mapping[AlarmName, Alarm], figures: Figures, latest: Latest, now: datetime
) -> list[Reading]:
    """One reading of each subject of each alarm that is watched."""
    reader = _Reader(estate, alarms, figures, latest, now)
    return [reading for reading in reader.all() if reading.alarm not in estate.alarms.off]


def streaks(hours: Mapping[datetime, Sequence[TransferTotals]]) -> dict[StoreName, Streak]:
    """How uploads to each store went, from transfers by the hour that they finished in."""
    found: dict[StoreName, Streak] = {}
    for hour in sorted(hours):
        tried: dict[StoreName, list[TransferTotals]] = {}
        for total in hours[hour]:
            if total.job in ("ingest", "migrate") and total.error_code != "source_corrupted":  # as Rollout.measure
                tried.setdefault(total.store, []).append(total)
        for store, totals in tried.items():
            before = found.get(store, Streak())
            failed = sum(total.durations.count for total in totals)
            if any(total.outcome == "succeeded" for total in totals):
                found[store] = Streak(before.uploads + failed)
            else:
                found[store] = Streak(before.uploads + failed, before.failed_since_success + failed)
    return found


def silent_cameras(estate: Estate, figures: Figures, now: datetime) -> list[CameraFigures]:
    """The cameras that are in service and from which no footage has come for longer than the alarm's limit."""
    limit = timedelta(hours=estate.alarms.camera_silent_hours)
    return [
        camera
        for camera in figures.cameras
        if camera.last_end is not None
        and now - camera.last_end > limit
        and not _is_out_of_service(estate, camera.last_end, now)
    ]


def _is_out_of_service(estate: Estate, last_end: datetime, now: datetime) -> bool:
    return now - last_end > timedelta(days=estate.alarms.camera_forgotten_days)


@dataclass(frozen=True, slots=True)
class _Reader:
    estate: Estate
    alarms: Mapping[AlarmName, Alarm]
    figures: Figures
    latest: Latest
    now: datetime

    def all(self) -> Iterator[Reading]:
        for store in self.figures.stores:
            yield from self._health(store)
            yield self._refusals(store)
            yield from self._uploads(store)
            yield self._orphans(store)
        for camera in self.figures.cameras:
            yield from self._camera(camera)
        yield self._unprotected()
        yield self._verification()
        yield self._rollout()
        yield from self._budget()

    def _reading(self, alarm: AlarmName, subject: str, value: float | None, detail: str) -> Reading:
        return Reading(alarm, subject, value, self.alarms[alarm].threshold, detail)

    def _health(self, store: StoreFigures) -> Iterator[Reading]:
        is_known = store.looked_at is not None and self.now - store.looked_at <= STALE_AFTER
        if not is_known or store.health == "unknown":
            unreachable = foreign = None
            detail = "nobody has looked at it lately"
        else:
            unreachable, foreign = float(store.health == "unreachable"), float(store.health == "foreign")
            since = f" since {store.health_since:%Y-%m-%d %H:%M} UTC" if store.health_since else ""
            detail = f"{store.health}{f': {store.health_reason}' if store.health_reason else ''}{since}"
        yield self._reading("store_unreachable", store.name, unreachable, detail)
        # One that does not answer may be anybody's: what was found before stands.
        yield self._reading("store_not_ours", store.name, None if unreachable else foreign, detail)

    def _refusals(self, store: StoreFigures) -> Reading:
        refused = self.latest.refusals.get(store.name, 0)
        looked = int(store.health == "unreachable" and store.health_reason in REFUSALS)
        detail = f"{refused} uploads were refused {self._lately}{', and the last look at it' if looked else ''}"
        value = refused + looked if refused or looked else self._well(store)
        return self._reading("access_denied", store.name, value, detail)

    def _well(self, store: StoreFigures) -> float | None:
        """Where nothing went wrong lately: None, as nothing says that it is mended, unless uploads went well, or there
        are none any more."""
        measured = self.latest.uploads.get(store.name)
        return 0.0 if (measured and measured.transfers) or not self._streak(store).uploads else None

    def _streak(self, store: StoreFigures) -> Streak:
        return self.latest.streaks.get(store.name, Streak())

    def _uploads(self, store: StoreFigures) -> Iterator[Reading]:
        measured = self.latest.uploads.get(store.name)
        if measured is None or not measured.transfers:
            none = f"no uploads {self._lately}"
            yield self._takes_nothing(store) or self._reading("upload_failures", store.name, self._well(store), none)
            yield self._reading("slow_uploads", store.name, self._well(store), none)
            return
        yield self._failures(store, measured)
        seconds = measured.upload_seconds
        told = f"{measured.transfers - measured.failed} uploads {self._lately}"
        is_telling = measured.transfers - measured.failed >= self.estate.alarms.min_transfers
        mean = "none succeeded" if seconds is None else f"{seconds:.3g} s each on average"
        yield self._reading("slow_uploads", store.name, seconds if is_telling else None, f"{told}: {mean}")

    def _failures(self, store: StoreFigures, measured: Measured) -> Reading:
        worst, window = measured.worst, self.estate.alarms.window_minutes
        if worst is None:
            return self._takes_nothing(store) or self._few(store, measured)
        told = (
            f"{worst.failed} of {worst.transfers} uploads failed ({worst.failure_ratio:.1%}) in the {window} minutes "
            f"from {worst.start:%H:%M} UTC"
        )
        return self._reading("upload_failures", store.name, worst.failure_ratio, told)

    def _few(self, store: StoreFigures, measured: Measured) -> Reading:
        """Too few in every window: the whole time is one. Where that is too short as well, a failure says nothing, and
        that there is none does."""
        told, ratio = f"{measured.failed} of {measured.transfers} uploads failed {self._lately}", 0.0
        if measured.failed:
            ratio = measured.failed / measured.transfers
            if measured.transfers < self.estate.alarms.min_transfers:
                return self._reading("upload_failures", store.name, None, f"{told}, too few to say more")
        return self._reading("upload_failures", store.name, ratio, told)

    def _takes_nothing(self, store: StoreFigures) -> Reading | None:
        """None: it takes some, or nobody tried often enough to say."""
        failed = self._streak(store).failed_since_success
        if failed < FAILED_IN_A_ROW:
            return None
        return self._reading(
            "upload_failures", store.name, 1.0, f"{failed} uploads failed since the last that succeeded"
        )

    @property
    def _lately(self) -> str:
        return f"in the last {self.estate.alarms.watch_minutes} minutes"

    def _orphans(self, store: StoreFigures) -> Reading:
        held = sum(
            usage.replicas
            for usage in self.figures.usage
            if usage.store == store.name and usage.state is not ReplicaState.LOST
        )
        cap = float(soft_cap(held + store.orphans, self.estate.reconcile_caps))
        detail = f"{store.orphans} orphans beside {held} copies: one run may take {cap:.6g}"
        return Reading("orphans_above_cap", store.name, store.orphans, cap, detail)

    def _camera(self, camera: CameraFigures) -> Iterator[Reading]:
        """Nothing of a camera that has no footage yet: since when it is to have some is not known."""
        if camera.last_end is None:
            return
        silent = self.now - camera.last_end
        hours, last = silent / timedelta(hours=1), f"its last footage ends {camera.last_end:%Y-%m-%d %H:%M} UTC"
        if _is_out_of_service(self.estate, camera.last_end, self.now):
            days = self.estate.alarms.camera_forgotten_days
            hours, last = 0.0, f"{last}: silent for more than {days} days, it counts as out of service"
        yield self._reading("camera_silent", f"{camera.tenant}/{camera.slug}", hours, last)

    def _unprotected(self) -> Reading:
        count = self.figures.unprotected_segments
        return self._reading("unprotected_footage", "", count, f"{count} segments have no available copy")

    def _verification(self) -> Reading:
        oldest = self.figures.oldest_unverified
        if oldest is None:
            return self._reading("verification_overdue", "", 0.0, "there is no copy to look at")
        days = (self.now - oldest) / timedelta(days=1)
        return self._reading("verification_overdue", "", days, f"a copy was last looked at {oldest:%Y-%m-%d %H:%M} UTC")

    def _rollout(self) -> Reading:
        """A decision to hold says nothing: the step back before it stands until the ramp goes on, starts anew, or a
        person sets it."""
        rollout = self.figures.rollout
        if rollout.mode != "hybrid" or rollout.last_action is None:
            return self._reading("rollout_stepped_back", "", 0.0, f"mode {rollout.mode!r}: no ramp is under way")
        when = f" on {rollout.last_decided_at:%Y-%m-%d %H:%M} UTC" if rollout.last_decided_at else ""
        by_a_person = rollout.last_decided_by not in (None, BY_ITSELF)
        went_back = rollout.last_action == "step_back" and not by_a_person
        value = None if rollout.last_action == "hold" else float(went_back)
        by = f" by {rollout.last_decided_by}" if by_a_person else ""
        said = f"last decision{when}{by}: {rollout.last_action}; it is at {100 * rollout.ratio:.4g} %"
        why = f": {rollout.last_reason}" if rollout.last_reason else ""
        return self._reading("rollout_stepped_back", "", value, f"{said}{why}")

    def _budget(self) -> Iterator[Reading]:
        if self.estate.alarms.budget_usd is None:
            return
        now, later = self.figures.monthly_usd(), self.latest.forecast_usd
        if now is None:
            why = self.figures.costs_trouble or "nothing says what the stores cost"
            yield self._reading("over_budget", "", None, why)
            return
        ahead = "" if later is None else f", in 30 days {usd(later)}"
        detail = f"{usd(now)} a month now{ahead}; the budget is {usd(self.estate.alarms.budget_usd)}"
        yield self._reading("over_budget", "", max(float(now), later or 0.0), detail)
