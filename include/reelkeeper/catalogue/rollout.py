"""The ramp in the catalogue: what was decided, and what the transfers to the cloud were like."""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from reelkeeper.catalogue.session import Session
from reelkeeper.model import StoreName
from reelkeeper.policy.ramp import Action, Measured, Window


@dataclass(frozen=True, slots=True)
class RolloutStep:
    """One decision about the ramp. Percentages are in buckets of 0.01 %."""

    decided_at: datetime
    action: Action
    from_buckets: int
    to_buckets: int
    configured_buckets: int  # estate.toml's own at that time
    reason: str
    decided_by: str  # 'reelkeeper', or a person
    run_id: str
    transfers: int
    failure_ratio: float | None  # of the worst window; None: no window had enough transfers
    upload_seconds: float | None  # mean; None: no transfers


class Rollout:
    """The decisions about the ramp, one a run."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def take_turn(self) -> None:
        """Wait until no one else decides; held until the transaction under way ends."""
        self._session.rows("lock_planning", what="rollout")

    def last(self) -> RolloutStep | None:
        """The last decision."""
        return _only(self._session.rows("last_rollout_step"))

    def last_change(self, configured_buckets: int) -> RolloutStep | None:
        """The last decision that was more than to hold, since estate.toml's percentage became this one."""
        return _only(self._session.rows("last_rollout_change", configured_buckets=configured_buckets))

    def of_run(self, run_id: str) -> RolloutStep | None:
        """What a run decided."""
        return _only(self._session.rows("rollout_step_of_run", run_id=run_id))

    def history(self, limit: int) -> list[RolloutStep]:
        """The last decisions, the newest first."""
        return [_step_of(row) for row in self._session.rows("rollout_history", limit=limit)]

    def add(self, step: RolloutStep) -> None:
        """Add a decision; a run that has one keeps it."""
        self._session.execute("insert_rollout_step", **asdict(step))

    def measure(
        self, store: StoreName, since: datetime, until: datetime, *, window: timedelta, min_in_window: int
    ) -> Measured:
        """The transfers to a store that finished in `[since, until)`, by windows of the clock."""
        row = self._session.row(
            "measure_transfers", store=store, since=since, until=until, window=window, min_in_window=min_in_window
        )
        has_worst = row.worst_start is not None
        worst = Window(row.worst_start, row.worst_transfers, row.worst_failed) if has_worst else None
        return Measured(since, until, row.transfers, row.failed, row.upload_seconds, worst)


def _only(rows: list[Any]) -> RolloutStep | None:
    return _step_of(rows[0]) if rows else None


def _step_of(row: Any) -> RolloutStep:
    return RolloutStep(**{name: getattr(row, name) for name in RolloutStep.__dataclass_fields__})
