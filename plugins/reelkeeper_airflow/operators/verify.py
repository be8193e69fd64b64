"""The tasks that look again at what the stores hold."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowSkipException

from reelkeeper.errors import ConfigurationError, GateFailed
from reelkeeper.model import TimeRange, utc
from reelkeeper.policy.rollout import Percentage
from reelkeeper.wording import size
from reelkeeper_airflow.clock import clock_offset
from reelkeeper_airflow.estate import current_estate, open_catalogue, open_store
from reelkeeper_airflow.hooks.environment import truth
from reelkeeper_airflow.lineage import Dataset, Objects, Table, TellsLineage
from reelkeeper_airflow.progress import ProgressLog

if TYPE_CHECKING:
    from reelkeeper.verification.job import Scope

_COUNTS = (
    "read", "seen", "archived", "healed", "wrong", "missing", "unknown", "at_risk", "bytes_read", "left", "left_bytes",
)  # fmt: skip


class VerifyStoreOperator(TellsLineage, BaseOperator):
    """Looks at replicas of one store and records what it finds. Returns counts, and what reading cost (`cost_usd`).

    By default those that are due, the longest unproved first, up to the estate's budget of bytes. A later try of the
    run goes on where an earlier one stopped. Skipped when the run is about another store. StoreUnavailable when the
    store cannot be looked at, or lacks so much that it is doubted itself.

    :param store: its name in estate.toml
    :param only: the store that the run is about; None: all
    :param method: "presence", "size" or "hash"; None: as in estate.toml
    :param sample: percentage of all replicas, 1 means 1 %; None: no sample
    :param everything: all replicas, due or not, without a budget
    :param camera: slug of one camera; None: all
    :param start_time: first start of segments, ISO 8601; None: ever
    :param end_time: their starts lie before this; None: without end
    """

    template_fields: Sequence[str] = (
        "store", "only", "method", "sample", "everything", "camera", "start_time", "end_time",
    )  # fmt: skip

    def __init__(
        self,
        *,
        store: str,
        only: str | None = None,
        method: str | None = None,
        sample: float | str | None = None,
        everything: bool | str = False,
        camera: str | None = None,
        start_time: str | None = None,
        end_time: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.store = store
        self.only = only
        self.method = method
        self.sample = sample
        self.everything = everything
        self.camera = camera
        self.start_time = start_time
        self.end_time = end_time

    def expected(self) -> tuple[Iterable[Dataset], Iterable[Dataset]]:
        return (Objects(self.store),), (Table("replicas"),)

    def execute(self, context: Context) -> dict[str, float]:
        from airflow.sdk.observability import stats

        from reelkeeper.verification.job import verify_store

        if self.only not in (None, self.store):
            raise AirflowSkipException(f"the run is about store {self.only!r}")
        offset, run = clock_offset(context), context["dag_run"]
        found = verify_store(
            current_estate(),
            open_catalogue,
            open_store,
            self.store,
            self._scope(context),
            run_id=run.run_id,
            started=utc(run.run_after) + offset,
            progress=ProgressLog(self.log, "replicas"),
            now=lambda: datetime.now(UTC) + offset,
        )
        for problem in found.problems:
            self.log.error("%s", problem)
        looked_at = found.read + found.seen
        self.touched(read=[Objects(self.store, objects=looked_at, size_bytes=found.bytes_read)],
                     wrote=[Table("replicas", looked_at)])  # fmt: skip
        tags = {"store": self.store}
        stats.incr("reelkeeper.replicas_verified", looked_at, tags=tags)
        stats.incr("reelkeeper.replicas_wrong", found.wrong + found.missing, tags=tags)
        return {name: getattr(found, name) for name in _COUNTS} | {"cost_usd": round(float(found.cost_usd), 2)}

    def _scope(self, context: Context) -> "Scope":
        from reelkeeper.verification.job import Scope

        if self.method not in (None, "presence", "size", "hash"):
            raise ConfigurationError(f"method is {self.method!r}: expected one of 'presence', 'size', 'hash'")
        return Scope(
            method=self.method,  # type: ignore[arg-type]  # looked at above
            sample=None if self.sample is None else Percentage.of(self.sample, name="sample"),
            everything=truth(self.everything, name="all"),
            camera=self._camera(context),
            starts_in=self._range(),
        )

    def _camera(self, context: Context) -> str | None:
        """As it stands in the form: a native template would make 12 of camera '1_2'."""
        given = context["params"].get("camera", self.camera)
        return None if given is None else str(given)

    def _range(self) -> TimeRange | None:
        if not self.start_time and not self.end_time:
            return None
        try:
            start = datetime.fromisoformat(self.start_time) if self.start_time else datetime(1970, 1, 1, tzinfo=UTC)
            end = datetime.fromisoformat(self.end_time) if self.end_time else datetime(9000, 1, 1, tzinfo=UTC)
            return TimeRange(start, end)
        except ValueError as exc:
            raise ConfigurationError(f"start_time {self.start_time!r}, end_time {self.end_time!r}: {exc}") from exc


class SummariseVerificationOperator(BaseOperator):
    """Tells people what was found in which store: a table in the log. Returns the sums.

    GateFailed when footage has no verified copy left in any store: a person must know of it. What is wrong and has
    another copy is repaired by `reconcile_stores`. GateFailed as well when a store was not looked at to the end: the
    run's state is that of this task, the last one.

    :param verified: what the `VerifyStoreOperator` of each store returned; None: it failed or was skipped
    :param only: the store that the run is about; None: all
    """

    template_fields: Sequence[str] = ("verified", "only")

    def __init__(self, *, verified: Mapping[str, Any], only: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.verified = verified
        self.only = only

    def execute(self, context: Context) -> dict[str, int]:
        told = {store: found for store, found in self.verified.items() if found}
        for line in summary_table(told):
            self.log.info("%s", line)
        failed = [store for store in self.verified if store not in told and self.only in (None, store)]
        sums = {name: sum(found[name] for found in told.values()) for name in _COUNTS}
        if sums["at_risk"]:
            raise GateFailed(
                f"{sums['at_risk']} replicas are wrong or missing whose segments have no verified copy in any store: "
                "the stores' tasks name them"
            )
        if failed:
            raise GateFailed(f"stores {failed} were not looked at to the end: see their tasks")
        return sums


def summary_table(verified: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What was found in each store, as lines of a table."""
    head = ["| store | read | seen | archived | healed | wrong | missing | unknown | bytes read | USD | still due |",
            "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"]  # fmt: skip
    return head + [
        f"| {store} | {found['read']} | {found['seen']} | {found['archived']} | {found['healed']} | {found['wrong']} "
        f"| {found['missing']} | {found['unknown']} | {size(found['bytes_read'])} | {found['cost_usd']:.2f} "
        f"| {found['left']}, {size(found['left_bytes'])} |"
        for store, found in verified.items()
    ]
