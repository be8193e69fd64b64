"""The tables at the end: where the footage is and what it costs there, and what each job found and did."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from rich.console import Console
from rich.table import Table

from demo.audit import Audit, rows
from demo.estate import Servers
from demo.telling import mib
from reelkeeper.model import Tier
from reelkeeper.policy.costs import monthly_cost
from reelkeeper.policy.prices import ClassPrice, flat_price, load_prices, prices_of, shipped_prices
from reelkeeper.settings import StoreSettings, load_estate

_BY_TIER = """
    SELECT store, tier, count(*), sum(size_bytes)::bigint FROM reelkeeper.replicas WHERE state = 'available'
    GROUP BY store, tier
    ORDER BY array_position(ARRAY['local', 'cloud', 'aws'], store), array_position(ARRAY['HOT', 'COOL', 'COLD'], tier)
"""
_MOVES = """
    SELECT store, from_tier, to_tier, count(*), sum(size_bytes)::bigint, sum(one_off_usd), sum(saving_usd)
    FROM reelkeeper.tier_moves WHERE state = 'done' GROUP BY 1, 2, 3 ORDER BY min(updated_at), 1
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


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that was done on purpose, how often, and how often the estate did about it what it should."""

    what: str
    expected: int
    done: int

    @property
    def is_right(self) -> bool:
        return self.expected == self.done > 0


def show_findings(findings: Sequence[Finding], console: Console) -> None:
    """What was done on purpose, and what the estate made of it."""
    table = Table(title="What the months brought")
    for heading in ("what", "expected", "done", "right"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    for finding in findings:
        right = "yes" if finding.is_right else "[red]NO[/]"
        table.add_row(finding.what, str(finding.expected), str(finding.done), right)
    console.print(table)


def show_moves(servers: Servers, console: Console) -> None:
    """What moved to a colder tier, and what that costs and saves by the estimate."""
    table = Table(title="What moved to a colder tier, as planned and paid for")
    for heading in ("store", "from", "to", "segments", "size", "once, USD", "saves, USD"):
        table.add_column(
            heading, justify="right" if heading in ("segments", "size", "once, USD", "saves, USD") else "left"
        )
    for store, before, after, count, size_bytes, cost, saving in rows(servers, _MOVES):
        table.add_row(store, before, after, str(count), mib(size_bytes), _usd(cost), _usd(saving))
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


def _usd(amount: Decimal | float) -> str:
    return f"{amount:.6f}"
