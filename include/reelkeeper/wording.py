"""Figures as people read them: sizes, durations, money, shares, counts, days."""

from datetime import date, datetime
from decimal import Decimal


def size(size_bytes: float) -> str:
    """Bytes for people: '1.5 GiB'."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size_bytes < 1024:
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1024
    return f"{size_bytes:.1f} TiB"


def duration(seconds: float) -> str:
    """Seconds for people: '1 h 05 min'."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def usd(amount: Decimal | float) -> str:
    """Dollars for people: '1,234.50 USD'; below one cent, three significant digits: '0.00012 USD'."""
    if abs(float(amount)) >= 0.01 or not amount:
        return f"{amount:,.2f} USD"
    return f"{Decimal(f'{float(amount):.3g}'):f} USD"  # of a Decimal it would keep zeros at the end


def percent(ratio: float) -> str:
    """A ratio, 0 to 1, for people: '12.5 %'. What is not all is never rounded to 100 %, nor is something to 0 %."""
    rounded = round(100 * ratio, 1)
    if rounded >= 100 > 100 * ratio:
        return "99.9 %"
    if rounded <= 0 < ratio:
        return "under 0.1 %"
    return f"{rounded:g} %"


def counted(number: int, thing: str, things: str = "") -> str:
    """A number and what it counts: '1 store', '2,000 stores'."""
    return f"{number:,} {thing if number == 1 else things or f'{thing}s'}"


def ago(moment: datetime, now: datetime) -> str:
    """How long ago a moment was, for people: '5 min', '3 h 20 min', '12 days'; '0 s' for one to come."""
    seconds = max((now - moment).total_seconds(), 0.0)
    return duration(seconds) if seconds < 48 * 3600 else f"{seconds // 86400:.0f} days"


def day_name(day: date) -> str:
    """A day for people: '5 March 2026'. Of a time, the day in its own zone."""
    return f"{day.day} {day:%B %Y}"
