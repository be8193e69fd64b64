"""The tables of the daily report: what stands behind its sentences and charts, bounded however large the estate is."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from reelkeeper.catalogue.alarms import ToldEvent
from reelkeeper.catalogue.quality import QualityRun
from reelkeeper.model import CameraId
from reelkeeper.reporting.figures import CameraDay, CameraFigures, Durations, Figures, TransferTotals
from reelkeeper.reporting.page import attention, holdings
from reelkeeper.reporting.waiting import wording
from reelkeeper.wording import ago, counted, percent, size

MOST_CAMERAS = 100
_DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class Table:
    """A table for people. `numbers`: the columns that stand to the right."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: frozenset[int] = frozenset()
    note: str = ""
    empty: str = ""  # what to say without rows


def stores_table(figures: Figures) -> Table:
    """Every store: how it is, what it holds, what that costs, and when it was last held against the catalogue."""
    rows = [
        (
            view.name, view.kind, view.health, view.held, view.replicas.partition(" ")[0], view.quota or "",
            view.monthly, view.reconciled, "; ".join(view.beside),
        )
        for view in holdings.stores(figures)
    ]  # fmt: skip
    columns = ("store", "kind", "state", "holds", "copies", "quota", "a month", "reconciled", "beside footage")
    return Table("Stores", columns, rows, frozenset({3, 4, 6}))


def transfers_table(transfers: Iterable[TransferTotals], day: date) -> Table:
    """What was transferred on a day, by job, store and error; `transfers` in any order, several of one kind summed."""
    sums: dict[tuple[str, str, str], list[float]] = {}
    for each in transfers:
        what = each.error_code or "succeeded" if each.outcome == "failed" else "succeeded"
        total = sums.setdefault((each.job, each.store, what), [0, 0, 0.0])
        for position, amount in enumerate((each.durations.count, each.size_bytes, each.durations.seconds)):
            total[position] += amount
    rows = [
        (job, store, wording(what), f"{count:,.0f}", size(size_bytes), f"{seconds / count:.3g} s" if count else "")
        for (job, store, what), (count, size_bytes, seconds) in sorted(sums.items())
    ]
    return Table(
        f"Transfers on {day:%Y-%m-%d} (UTC)", ("job", "to store", "result", "number", "size", "mean time"), rows,
        frozenset({3, 4, 5}), empty="Nothing was transferred on that day.",
    )  # fmt: skip


def cameras_table(
    cameras: Sequence[CameraFigures], recorded: Iterable[CameraDay], began: Mapping[CameraId, date],
    silent: Sequence[CameraFigures], *, day: date, now: datetime,
) -> Table:  # fmt: skip
    """Cameras: the silent ones first, then by what they recorded on `day`, the least first; at most MOST_CAMERAS.

    Of one that began later than the day before (`began`: the first day of which there is footage), nothing was
    expected of the whole day: it stands behind the others.
    """
    on_day: Mapping[CameraId, CameraDay] = {each.camera_id: each for each in recorded if each.day == day}
    quiet = {camera.id for camera in silent}

    def ratio(camera: CameraFigures) -> float | None:
        if began.get(camera.id, day) >= day:
            return None
        return min(on_day[camera.id].recorded_seconds / _DAY_SECONDS, 1.0) if camera.id in on_day else 0.0

    def place(camera: CameraFigures) -> tuple[object, ...]:
        covered = ratio(camera)
        return camera.id not in quiet, covered is None, covered or 0.0, camera.tenant, camera.slug

    ordered = sorted(cameras, key=place)
    rows = [
        (
            camera.name, f"{camera.tenant}/{camera.slug}",
            _last_footage(camera, now, is_silent=camera.id in quiet),
            "\N{EN DASH}" if (covered := ratio(camera)) is None else percent(covered), f"{camera.segments:,}",
            size(camera.size_bytes),
        )
        for camera in ordered[:MOST_CAMERAS]
    ]  # fmt: skip
    left_out = len(ordered) - len(rows)
    return Table(
        "Cameras", ("camera", "tenant/slug", "last footage", f"recorded of {day:%Y-%m-%d}", "segments", "size"), rows,
        frozenset({3, 4, 5}), empty="No camera is known yet.",
        note=f"{counted(left_out, 'more camera')} that recorded more on that day, or began later." if left_out else "",
    )  # fmt: skip


def _last_footage(camera: CameraFigures, now: datetime, *, is_silent: bool) -> str:
    if camera.last_end is None:
        return "no footage yet"
    since = ago(camera.last_end, now)
    return f"silent for {since}" if is_silent else f"{since} ago"


def alarms_table(events: Sequence[ToldEvent]) -> Table:
    """What became of alarms, the newest first."""
    rows = [(event.at, event.what, event.kind, event.detail) for event in attention.history(events)]
    return Table("Alarms", ("time (UTC)", "alarm", "event", "measured"), rows, empty="No alarm has fired yet.")


def quality_table(quality: QualityRun | None) -> Table:
    """What the last check of the catalogue found, what is not met first."""
    results = sorted(quality.results if quality else (), key=lambda result: (result.success, result.severity))
    rows = [
        (wording(result.expectation), result.suite, "met" if result.success else "NOT MET", result.severity,
         f"{result.failing:,}", f"{result.looked_at:,}")
        for result in results
    ]  # fmt: skip
    columns = ("expectation", "suite", "result", "severity", "wrong rows", "rows")
    when = f", checked {quality.finished_at:%Y-%m-%d %H:%M} (UTC)" if quality else ""
    return Table(f"Quality of the catalogue{when}", columns, rows, frozenset({4, 5}),
                 empty="check_catalogue has not run yet.")  # fmt: skip


def deletions_table(figures: Figures) -> Table:
    """What was deleted since ever."""
    rows = [
        (total.store, wording(total.reason), f"{total.objects:,}", size(total.size_bytes))
        for total in sorted(figures.deletions, key=lambda total: (total.store, total.reason))
    ]
    return Table("Deleted since ever", ("store", "reason", "objects", "size"), rows, frozenset({2, 3}),
                 empty="Nothing was ever deleted.")  # fmt: skip


def retrievals_table(figures: Figures) -> Table:
    """What was read for people since ever, by store and error. The mean is of what is known to have taken how long."""
    rows = [
        (
            total.store, wording(total.error_code or "succeeded"), f"{total.segments:,}", size(total.size_bytes),
            "" if total.durations.mean_seconds is None else f"{total.durations.mean_seconds:.3g} s",
        )
        for total in sorted(figures.retrievals, key=lambda total: (total.store, total.error_code or ""))
    ]  # fmt: skip
    return Table("Read for people since ever", ("from store", "result", "segments", "size", "mean time"), rows,
                 frozenset({2, 3, 4}), empty="Nothing was read yet.")  # fmt: skip


def exports_table(figures: Figures) -> Table:
    """How exports ended, since ever, and how many are under way now. Each came through other statuses before its last:
    sums of those say nothing to people."""
    ended = {total.status: total.durations for total in figures.exports}
    rows = [
        (status.lower(), f"{ended[status].count:,}", _mean_work(ended[status]))
        for status in ("COMPLETED", "FAILED")
        if status in ended
    ]
    now = f"{figures.exports_under_way:,} under way now."
    return Table("Exports since ever", ("status", "number", "mean time"), rows, frozenset({1, 2}), note=now,
                 empty=f"No export has ended yet; {now}")  # fmt: skip


def _mean_work(durations: Durations) -> str:
    """What was refused at once took no time that says anything."""
    worked = durations.count - durations.classes[0]
    return f"{durations.seconds / worked:.3g} s" if worked else "\N{EN DASH}"
