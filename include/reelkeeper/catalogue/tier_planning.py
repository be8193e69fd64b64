"""Planning moves between tiers: which replicas move, in which batches, and what is said about the rest."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from queue import SimpleQueue
from typing import Any

from reelkeeper.catalogue.mapping import replica_of
from reelkeeper.catalogue.partitions import month_of
from reelkeeper.catalogue.records import Batch
from reelkeeper.catalogue.session import Rows, Session
from reelkeeper.catalogue.tier_moves import TierMoves, TierSum, sum_of
from reelkeeper.catalogue.transfers import STALE_AFTER as STALE_TRANSFER
from reelkeeper.model import Replica, Tier, TimeRange

STALE_AFTER = timedelta(days=7)
"""How long a move of another run must have lain untouched, and without a lease, before a plan takes it over: longer
than a person takes to approve."""

FAILED_REST = timedelta(days=7)
"""How long a move that failed for good is not planned again."""

CONNECTIONS = 4
"""How many months are looked through side by side, each by a process of the server's."""


@dataclass(frozen=True, slots=True)
class TierTerms:
    """What decides about a plan, besides the replicas. Rows are those of `note_tier_choices` and `plan_tier_moves`."""

    now: datetime
    stores: Sequence[str]
    steps: Sequence[tuple[int, Tier]]  # (days after the end, tier), rising
    default_days: int  # how long footage of a camera without a retention of its own is kept
    kept_days: Sequence[int]  # rising; how long footage is still kept, rounded down to one of these
    choices: Sequence[Mapping[str, object]]
    origins: Sequence[Mapping[str, object]]
    archives: Sequence[Tier]  # whose objects must be restored before they can be read, in any of the stores
    batch_size: int
    batch_bytes: int  # of a batch whose bytes are carried
    max_batches: int


class TierPlanning:
    """What is to move between tiers."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._moves = TierMoves(session)

    def stale(self, run_id: str) -> list[tuple[Replica, Tier]]:
        """What a plan for this run will drop of the moves that other runs have begun: replica, and the tier it was to
        go to."""
        rows = self._session.rows("stale_tier_moves", run_id=run_id, stale_after=STALE_AFTER)
        return [(replica_of(row, row.segment_id), Tier(row.to_tier)) for row in rows]

    def plan(self, run_id: str, terms: TierTerms, *, dry_run: bool) -> tuple[list[TierSum], list[Batch]]:
        """Put the moves that pay into batches for `run_id`; what was found, summed, and the batches.

        The oldest footage goes first, a month at a time, so that memory stays flat. Planning the same run again changes
        nothing and returns what it planned. Plans take turns.
        """
        if not dry_run:
            with self._session.transaction():  # of its own: the connections beside this one are to see it
                self._session.rows("lock_planning", what="tiers")
                if not self._moves.batches(run_id):
                    self._session.execute("drop_stale_tier_moves", run_id=run_id, stale_after=STALE_AFTER)
        with self._session.transaction():
            self._session.rows("lock_planning", what="tiers")
            batches = [] if dry_run else self._moves.batches(run_id)
            room = replace(terms, max_batches=0) if batches else terms
            sums = self._sums(run_id, room, dry_run=dry_run or bool(batches))
            if batches:  # what is under way is not found again: what pays beside it is left
                taken = self._moves.planned(run_id)
                sums = [each for each in sums if each.outcome != "taken"]
                sums += [*taken, *(replace(each, outcome="pays") for each in taken)]
            return _merged(sums), self._moves.batches(run_id)

    def _sums(self, run_id: str, terms: TierTerms, *, dry_run: bool) -> list[TierSum]:
        """All months are looked through side by side; then those that have moves which pay take theirs, in order."""
        values = {"run_id": run_id, "dry_run": dry_run, "resting": self._resting(), **_parameters(terms)}
        months = list(self._months(terms))
        found = self._looked_through(months, terms, values)
        _prepare(self._session, terms)
        planned = 0
        for number, month in enumerate(months):
            if planned < terms.max_batches and any(row.outcome == "pays" for row in found[number]):
                found[number] = _month(self._session, month, values, planned, terms.max_batches - planned)
                planned += max((row.batches for row in found[number]), default=0)
        return [sum_of(row) for rows in found for row in rows]

    def _looked_through(
        self, months: Sequence[TimeRange], terms: TierTerms, values: Mapping[str, object]
    ) -> list[list[Any]]:
        """What each month holds, by connections of their own. Nothing is taken."""
        sessions = SimpleQueue[Session]()

        def look(month: TimeRange) -> list[Any]:
            session = sessions.get()
            try:
                return _month(session, month, values, 0, 0)
            finally:
                sessions.put(session)

        with ExitStack() as stack:
            for _ in range(min(CONNECTIONS, len(months))):
                session = stack.enter_context(closing(self._session.beside()))
                stack.enter_context(session.transaction())
                _prepare(session, terms)
                sessions.put(session)
            with ThreadPoolExecutor(CONNECTIONS) as pool:
                return list(pool.map(look, months))

    def _months(self, terms: TierTerms) -> Iterator[TimeRange]:
        """From the first footage to what is old enough for the first step."""
        until = terms.now - timedelta(days=min((days for days, _ in terms.steps), default=0))
        first = self._session.row("first_replica_start", stores=list(terms.stores)).start_time
        while first is not None and first < until:
            month = month_of(first)
            yield TimeRange(month.start, min(month.end, until))
            first = month.end

    def _resting(self) -> Rows:
        rows = self._session.rows("resting_tier_moves", failed_rest=FAILED_REST)
        return Rows([{"segment_id": row.segment_id, "store": row.store} for row in rows])


def _prepare(session: Session, terms: TierTerms) -> None:
    """Let a connection know the terms, for the transaction under way."""
    session.rows("prepare_planning")
    session.rows("prepare_whole_months")
    session.execute("make_tier_choices")
    session.execute("note_tier_choices", choices=Rows(terms.choices))
    session.analyze("tier_choices")


def _month(
    session: Session, month: TimeRange, values: Mapping[str, object], planned: int, max_batches: int
) -> list[Any]:
    """What a month holds, with at most so many batches of it taken, which follow the `planned` ones."""
    return session.rows(
        "plan_tier_moves", range_start=month.start, range_end=month.end, first_number=planned, max_batches=max_batches,
        **values,
    )  # fmt: skip


def _parameters(terms: TierTerms) -> dict[str, object]:
    steps = list(reversed(terms.steps))
    return {
        "now": terms.now,
        "stores": list(terms.stores),
        "boundaries": [terms.now - timedelta(days=days) for days, _ in steps],
        "wanted_ranks": [*(tier.rank + 1 for _, tier in steps), Tier.HOT.rank + 1],
        "tiers": [str(tier) for tier in Tier],
        "default_days": terms.default_days,
        "kept_days": list(terms.kept_days),
        "origins": Rows(terms.origins),
        "archive_ranks": [tier.rank + 1 for tier in terms.archives],
        "batch_size": terms.batch_size,
        "batch_bytes": terms.batch_bytes,
        "stale_transfer": STALE_TRANSFER,
    }


def _merged(sums: Sequence[TierSum]) -> list[TierSum]:
    """The months' sums as one."""
    merged: dict[tuple[str, ...], TierSum] = {}
    for each in sums:
        name = (each.store, each.from_tier, each.to_tier, each.outcome)
        one = merged.get(name)
        merged[name] = each if one is None else TierSum(
            each.outcome, each.store, each.from_tier, each.to_tier, one.replicas + each.replicas,
            one.size_bytes + each.size_bytes, one.one_off_usd + each.one_off_usd, one.saving_usd + each.saving_usd,
            max(filter(None, (one.example, each.example)), default=None),
        )  # fmt: skip
    return [merged[name] for name in sorted(merged)]
