"""Twelve cameras and thirty-one days of an estate, made by rule, so that what is drawn can be counted by hand."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from reelkeeper.catalogue.rollout import RolloutStep
from reelkeeper.model import CameraId, StoreName, Tenant, Tier, camera_id
from reelkeeper.policy.ramp import Action
from reelkeeper.reporting.charts import FailureHour
from reelkeeper.reporting.figures import CameraDay, CameraFigures, UsageDay

NOW = datetime(2026, 3, 31, 6, 0, tzinfo=UTC)
DAY = timedelta(days=1)
FIRST, LAST = date(2026, 3, 1), date(2026, 3, 31)
DAYS = [FIRST + number * DAY for number in range(31)]
CLOUD = StoreName("cloud")
GIB = 2**30
HOSTILE = "<script>alert('x')</script> \"$\\frac{1}{0}$\" \x00\x1b[31m ]]> &amp;"
NAMES = ("Gate", "Yard", "Hall", "Dock", "Roof", "Lift", "Stairs", "Lobby", "Vault", "倉庫", HOSTILE, "x" * 300)


def usage() -> list[UsageDay]:
    """On each day 10 GiB more in HOT; the other tiers begin on the 11th, 21st and 31st and then stay."""
    begins = {Tier.COOL: 10, Tier.COLD: 20, Tier.ARCHIVE: 30}
    return [
        UsageDay(day, CLOUD, tier, 100, size * GIB, Decimal(size))
        for number, day in enumerate(DAYS)
        for tier, size in [(Tier.HOT, 10 * (number + 1)), *((t, 100) for t, first in begins.items() if number >= first)]
    ]


def step(day: int, action: Action, before: int, to: int, by: str = "reelkeeper") -> RolloutStep:
    """A decision on a day of the month; percentages are whole."""
    return RolloutStep(
        datetime(2026, 3, day, 3, 30, tzinfo=UTC), action, before * 100, to * 100, 1000, f"reason of the {day}.", by,
        f"run {day}", transfers=1000 * day, failure_ratio=0.02, upload_seconds=1.25,
    )  # fmt: skip


STEPS = (
    step(2, "start", 0, 10), *(step(day, "hold", 10, 10) for day in range(3, 9)), step(9, "advance", 10, 25, HOSTILE),
    step(16, "advance", 25, 50), step(18, "step_back", 50, 25), step(25, "advance", 25, 50, "anna"),
    step(26, "hold", 50, 50),
)  # fmt: skip


def hours() -> list[FailureHour]:
    """A hundred transfers in each hour of a week, two of which fail; on the 28th at 10 and 11 ten; at 12 none."""
    start = NOW - 7 * DAY
    odd = {datetime(2026, 3, 28, 10, tzinfo=UTC): 10, datetime(2026, 3, 28, 11, tzinfo=UTC): 10}
    idle = datetime(2026, 3, 28, 12, tzinfo=UTC)
    every = [start + timedelta(hours=number) for number in range(7 * 24)]
    return [FailureHour(hour, 0 if hour == idle else 100, 0 if hour == idle else odd.get(hour, 2)) for hour in every]


def camera(number: int) -> CameraId:
    return camera_id(Tenant("default"), f"camera-{number}")


def cameras() -> list[CameraFigures]:
    """The last has no footage."""
    segments = {2: 21 * 24, 11: 0}
    return [
        CameraFigures(
            camera(number), "default", f"camera-{number}", name, segments.get(number, 5000), GIB, NOW - DAY / 2
        )
        for number, name in enumerate(NAMES)
    ]


def recorded() -> list[CameraDay]:
    """All, but the first camera lacks half of each of the first ten days, and the second the 5th and the 6th whole."""
    rows = []
    for number in range(11):
        for day in DAYS:
            whole = (NOW - datetime.combine(day, time(), UTC)).total_seconds() if day == LAST else 86_400.0
            if (number == 1 and day.day in (5, 6)) or (number == 2 and day.day <= 10):
                continue
            share = 0.5 if number == 0 and day.day <= 10 else 1.0
            rows.append(CameraDay(camera(number), day, 24, whole * share, GIB))
    return rows


def began() -> dict[CameraId, date]:
    """The first day of each camera that has footage."""
    return {camera(number): date(2026, 3, 11) if number == 2 else date(2025, 12, 1) for number in range(11)}
