"""The charts of footage, its rollout and its transfers: each takes typed rows, and says in its title what they come to.

An empty history is no error: the chart says that there is nothing yet.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from reelkeeper.catalogue.rollout import RolloutStep
from reelkeeper.model import Tier
from reelkeeper.policy.rollout import Percentage
from reelkeeper.ramp import BY_ITSELF
from reelkeeper.reporting.drawing import Canvas, Chart, draw, ink, shown
from reelkeeper.reporting.figures import TransferTotals, UsageDay
from reelkeeper.reporting.plotting import bars, byte_unit, moments, span_days, thinned
from reelkeeper.wording import counted, day_name, percent, size

_DAY = timedelta(days=1)
_STACKED = (Tier.ARCHIVE, Tier.COLD, Tier.COOL, Tier.HOT)
_Held = Mapping[date, Mapping[Tier, int]]


def bytes_by_tier(days: Sequence[UsageDay]) -> Chart:
    """How many bytes lay in each tier at the end of each day, all copies in all stores together."""
    held: dict[date, dict[Tier, int]] = defaultdict(lambda: dict.fromkeys(Tier, 0))
    for each in days:
        held[each.day][each.tier] += each.size_bytes
    dates = sorted(held)
    is_empty = not any(any(tiers.values()) for tiers in held.values())
    return draw(
        "tiers",
        title="No footage yet" if is_empty else _held_title(dates, held),
        description="A stacked area for each tier: bytes of all copies in all stores at the end of each day in UTC; "
                    "from the top HOT, COOL, COLD, ARCHIVE.",
        paint=lambda canvas: _paint_held(canvas, dates, held),
        height=300,
        empty="no footage yet" if is_empty else None,
        columns=("day (UTC)", *map(str, Tier), "all"),
        rows=[
            (f"{day:%Y-%m-%d}", *(size(held[day][tier]) for tier in Tier), size(sum(held[day].values())))
            for day in thinned(dates)
        ],
    )  # fmt: skip


def _paint_held(canvas: Canvas, dates: Sequence[date], held: _Held) -> None:
    from matplotlib.patches import Patch

    axes = canvas.axes(left=54, right=24, top=58, bottom=46)
    largest = max(sum(held[day].values()) for day in dates)
    unit, divisor = byte_unit(largest)
    colours = [ink(tier.lower()) for tier in _STACKED]
    for run in _runs(dates):
        layers = [[held[day][tier] / divisor for day in run] for tier in _STACKED]
        if len(run) == 1:  # too thin for an area
            bars(axes, [moments(run)[0] - 0.4], layers, colours, width=0.8)
        else:
            axes.stackplot(moments(run), layers, colors=colours, linewidth=0.8, edgecolor=ink("ground"))
    axes.set_ylim(0, largest / divisor * 1.05)
    span_days(canvas, axes, dates[0], dates[-1])
    canvas.unit(axes, f"{unit} in all copies")
    canvas.legend(axes, [Patch(color=ink(tier.lower())) for tier in Tier], [*map(str, Tier)])


def _runs(days: Sequence[date]) -> list[Sequence[date]]:
    """The days in parts without a hole: what lay there on a day that nobody looked is not known."""
    breaks = [position for position, (one, following) in enumerate(pairwise(days), 1) if following - one > _DAY]
    return [days[first:end] for first, end in pairwise([0, *breaks, len(days)])]


def _held_title(dates: Sequence[date], held: _Held) -> str:
    first, now = (sum(held[day].values()) for day in (dates[0], dates[-1]))
    if not now:
        return f"No footage is held any more; on {day_name(dates[0])} it was {size(first)}"
    told = f"{size(now)} of copies are held, {percent(1 - held[dates[-1]][Tier.HOT] / now)} of it in colder tiers"
    if len(dates) == 1 or not first:
        return told
    change = now / first - 1
    how = f"{percent(abs(change))} {'more' if change > 0 else 'less'} than" if round(change, 3) else "as much as"
    return f"{told}: {how} on {day_name(dates[0])}"


def migration_ramp(steps: Sequence[RolloutStep], *, now: datetime) -> Chart:
    """The percentage that the rollout was at, by its decisions (in any order), until `now`."""
    decided = sorted(steps, key=lambda step: step.decided_at)
    changes = [step for step in decided if step.action != "hold"]
    told = [*changes, *(step for step in decided[-1:] if step.action == "hold")]
    return draw(
        "ramp",
        title=_ramp_title(decided, changes),
        description="A line in steps: the share of segments that the rollout wants in the cloud. Marks are decisions; "
                    "a name stands at those that a person took, the others Reelkeeper took by what it measured.",
        paint=lambda canvas: _paint_ramp(canvas, decided, now),
        height=280,
        empty=None if decided else "the ramp has not begun",
        columns=("decided (UTC)", "decision", "%", "transfers", "worst window", "mean upload", "by", "why"),
        rows=[_ramp_row(step) for step in reversed(told[-20:])],
    )  # fmt: skip


_MARKERS = (
    ("start", "starts", "o", "line"),
    ("advance", "goes on", "^", "line"),
    ("step_back", "steps back", "v", "bad"),
    ("hold", "holds", "|", "muted"),
)
"""Each action of a decision: in words, matplotlib's marker and the colour."""


def _paint_ramp(canvas: Canvas, decided: Sequence[RolloutStep], now: datetime) -> None:
    axes = canvas.axes(left=54, right=24, top=58, bottom=46)
    start = decided[0].decided_at
    axes.step(moments([*(step.decided_at for step in decided), now]),
              [*(step.to_buckets / 100 for step in decided), decided[-1].to_buckets / 100],
              where="post", color=ink("line"), linewidth=2)  # fmt: skip
    handles, labels = [], []
    for action, label, marker, colour in _MARKERS:
        if some := [step for step in decided if step.action == action]:
            handles += axes.plot(
                moments([step.decided_at for step in some]), [step.to_buckets / 100 for step in some], linestyle="",
                marker=marker, markersize=5 if action == "hold" else 10, color=ink(colour),
                markeredgecolor=ink(colour if action == "hold" else "ground"), clip_on=False, zorder=3,
            )  # fmt: skip
            labels.append(label)
    for step in [step for step in decided if step.decided_by != BY_ITSELF][-4:]:
        is_high = step.to_buckets > 8000
        is_late = now - step.decided_at < (now - start) / 8
        axes.annotate(
            shown(step.decided_by, 14), (moments([step.decided_at])[0], step.to_buckets / 100),
            xytext=(0, -9 if is_high else 8), textcoords="offset points", ha="right" if is_late else "center",
            va="top" if is_high else "bottom", color=ink("ink"),
        )  # fmt: skip
    axes.set_ylim(0, 104)
    axes.set_yticks([0, 25, 50, 75, 100], labels=["0 %", "25 %", "50 %", "75 %", "100 %"])
    axes.set_xlim(*moments([min(start, now - _DAY), now]))
    canvas.days(axes)
    canvas.unit(axes, "of segments are wanted in the cloud")
    canvas.legend(axes, handles, labels)


def _ramp_title(decided: Sequence[RolloutStep], changes: Sequence[RolloutStep]) -> str:
    if not decided:
        return "The rollout has not begun"
    told = f"The rollout is at {Percentage(decided[-1].to_buckets)}"
    if not changes:
        return told
    last = changes[-1]
    by = "by itself" if last.decided_by == BY_ITSELF else f"decided by {last.decided_by}"
    stepped = ", a step back" if last.action == "step_back" else ""
    return f"{told}, since {day_name(last.decided_at)}, {by}{stepped}"


def _ramp_row(step: RolloutStep) -> tuple[str, ...]:
    return (
        f"{step.decided_at.astimezone(UTC):%Y-%m-%d %H:%M}",
        step.action.replace("_", " "),
        f"{Percentage(step.from_buckets)} → {Percentage(step.to_buckets)}",
        f"{step.transfers:,}",
        "" if step.failure_ratio is None else f"{percent(step.failure_ratio)} failed",
        "" if step.upload_seconds is None else f"{step.upload_seconds:.3g} s",
        step.decided_by,
        step.reason,
    )


@dataclass(frozen=True, slots=True)
class FailureHour:
    """The transfers that finished in one hour of the clock."""

    start: datetime
    transfers: int
    failed: int

    @property
    def ratio(self) -> float:
        """The share that failed; 0 when there were none."""
        return self.failed / self.transfers if self.transfers else 0.0


def failure_hours(transfers: Mapping[datetime, Sequence[TransferTotals]]) -> list[FailureHour]:
    """Transfers of each hour, all jobs and stores together."""
    return [
        FailureHour(
            start,
            sum(total.durations.count for total in totals),
            sum(total.durations.count for total in totals if total.outcome == "failed"),
        )
        for start, totals in transfers.items()
    ]


def failure_rate(hours: Sequence[FailureHour], *, limit: float, until: datetime, days: int = 7) -> Chart:
    """The share of transfers that failed, hour by hour, in the `days` before `until`; above `limit`, a ratio 0 to 1,
    it is too many."""
    since = until - days * _DAY
    busy = sorted((hour for hour in hours if hour.transfers and hour.start >= since), key=lambda hour: hour.start)
    return draw(
        "failures",
        title=_failures_title(busy, limit, days),
        description="Bars for each hour in UTC: above, the share of its transfers that failed, with a dashed line at "
                    f"{percent(limit)}; below, how many transfers there were.",
        paint=lambda canvas: _paint_failures(canvas, busy, limit, since, until),
        height=330,
        empty=None if busy else "nothing was transferred",
        columns=("day (UTC)", "transfers", "failed", "share", "worst hour"),
        rows=_failures_by_day(busy),
    )  # fmt: skip


def _paint_failures(
    canvas: Canvas, hours: Sequence[FailureHour], limit: float, since: datetime, until: datetime
) -> None:
    shares = canvas.axes(left=54, right=24, top=34, bottom=150)
    counts = canvas.axes(left=54, right=24, top=214, bottom=46)
    for some, colour in (([hour for hour in hours if hour.ratio <= limit], "line"),
                         ([hour for hour in hours if hour.ratio > limit], "bad")):  # fmt: skip
        x = moments([hour.start for hour in some])
        bars(shares, x, [[100 * hour.ratio for hour in some]], [ink(colour)], width=1 / 24)
    x = moments([hour.start for hour in hours])
    bars(counts, x, [[float(hour.transfers) for hour in hours]], [ink("muted")], width=1 / 24)
    shares.axhline(100 * limit, color=ink("bad"), linewidth=1.2, linestyle=(0, (5, 3)))
    shares.annotate(
        f"limit {percent(limit)}", (1, 100 * limit), xycoords=("axes fraction", "data"), xytext=(0, 3),
        textcoords="offset points", ha="right", va="bottom", color=ink("bad"),
    )  # fmt: skip
    shares.set_ylim(0, 100 * min(max(2 * limit, 1.1 * max(hour.ratio for hour in hours)), 1.05))
    counts.set_ylim(0, 1.1 * max(hour.transfers for hour in hours))
    counts.locator_params(axis="y", nbins=2, integer=True)
    for axes in (shares, counts):
        axes.set_xlim(*moments([since, max(until, hours[-1].start + timedelta(hours=1))]))
    shares.set_xticks([])
    canvas.days(counts)
    canvas.unit(shares, "% of an hour's transfers that failed")
    canvas.unit(counts, "transfers an hour")


def _failures_title(hours: Sequence[FailureHour], limit: float, days: int) -> str:
    if not hours:
        return f"Nothing was transferred in the last {counted(days, 'day')}"
    transfers, failed = sum(hour.transfers for hour in hours), sum(hour.failed for hour in hours)
    above = sum(hour.ratio > limit for hour in hours)
    told = counted(above, "hour was", "hours were") if above else "no hour was"
    share = percent(failed / transfers)
    return (
        f"{share} of {counted(transfers, 'transfer')} failed in {counted(days, 'day')}; {told} above {percent(limit)}"
    )


def _failures_by_day(hours: Sequence[FailureHour]) -> list[tuple[str, ...]]:
    by_day: dict[date, list[FailureHour]] = defaultdict(list)
    for hour in hours:
        by_day[hour.start.astimezone(UTC).date()].append(hour)
    rows: list[tuple[str, ...]] = []
    for day, some in sorted(by_day.items()):
        transfers, failed = sum(hour.transfers for hour in some), sum(hour.failed for hour in some)
        worst = max(some, key=lambda hour: hour.ratio)
        told = f"{worst.start.astimezone(UTC):%H:%M}: {percent(worst.ratio)}" if worst.failed else ""
        rows.append((f"{day:%Y-%m-%d}", f"{transfers:,}", f"{failed:,}", percent(failed / transfers), told))
    return rows
