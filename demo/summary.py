"""The tables at the end: where the footage is and what it costs there, and what each job found and did."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.table import Table

from demo.audit import Audit, rows
from demo.estate import Servers
from demo.telling import mib
from reelkeeper.model import Tier
from reelkeeper.policy.costs import ClassPrice, flat_price, load_prices, monthly_cost, prices_of, shipped_prices
from reelkeeper.settings import StoreSettings, load_estate

_BY_TIER = """
    SELECT store, tier, count(*), sum(size_bytes)::bigint FROM reelkeeper.replicas WHERE state = 'available'
    GROUP BY store, tier
    ORDER BY array_position(ARRAY['local', 'cloud', 'aws'], store), array_position(ARRAY['HOT', 'COOL', 'COLD'], tier)
"""
_STEPS = "SELECT from_buckets, to_buckets, reason FROM reelkeeper.rollout_steps ORDER BY id"


def show_tiers(servers: Servers, console: Console) -> None:
    """What is where, and what it costs there beside what it would cost in the hot tier."""
    settings = load_estate(servers.settings, {})
    table = Table(title="Where the footage is now, and what that costs")
    for heading in ("store", "tier", "segments", "size", "USD a month", "if all were hot", "saved"):
        table.add_column(heading, justify="left" if heading in ("store", "tier") else "right")
    for store, tier, count, size_bytes in rows(servers, _BY_TIER):
        place = settings.store(store)
        now, hot = (monthly_cost(_price(place, each), size_bytes, count) for each in (Tier(tier), Tier.HOT))
        saved = f"{(1 - now / hot) * 100:.0f} %"
        table.add_row(store, tier, str(count), mib(size_bytes), _usd(now), _usd(hot), saved)
    console.print(table)


def _price(store: StoreSettings, tier: Tier) -> ClassPrice:
    place = store.tiers[tier]
    if place.usd_per_gb_month is not None:
        return flat_price(tier, place.usd_per_gb_month)
    return prices_of(load_prices(shipped_prices()), store.price_list).of(place.storage_class or "")


def show_jobs(found: Mapping[str, tuple[Any, Any, bool]], console: Console) -> None:
    """One row for each thing that was done on purpose: what was expected, what the estate did."""
    table = Table(title="What went wrong on purpose, and what came of it")
    for heading in ("what", "expected", "done", "right"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    for what, (expected, done, right) in found.items():
        table.add_row(what, str(expected), str(done), "yes" if right else "[red]NO[/]")
    console.print(table)


def show_audit(found: Audit, console: Console) -> None:
    """What the last reading of all copies gave."""
    archived = sum(camera.archived for camera in found.cameras.values())
    owed = sum(camera.segments for camera in found.cameras.values())
    right = sum(sum(camera.right.values()) for camera in found.cameras.values())
    console.print(f"  {owed} segments are owed; {right} copies of them read back and right ({mib(found.bytes_read)}), "
                  f"{archived} archived, {len(found.problems)} problems", highlight=False)  # fmt: skip
    for problem in found.problems[:20]:
        console.print(f"[red]✗[/] {problem}", highlight=False)


def show_rollout(servers: Servers, console: Console) -> None:
    """The ramp's history."""
    for before, after, reason in rows(servers, _STEPS):
        console.print(f"  rollout {before / 100:g} % → {after / 100:g} %: {reason}", highlight=False)


def _usd(amount: Decimal) -> str:
    return f"{amount:.6f}"
