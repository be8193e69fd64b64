"""Tasks that work on one store of the estate, whatever its kind. Each backend's module binds them to its connection."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator, BaseOperatorLink, Context

from reelkeeper.errors import ConfigurationError
from reelkeeper.model import BatchId, StoreKind
from reelkeeper.settings import LandingZone, StoreSettings
from reelkeeper_airflow.estate import current_estate, open_catalogue, open_store
from reelkeeper_airflow.hooks.environment import truth
from reelkeeper_airflow.lineage import Dataset, Objects, Table, TellsLineage

if TYPE_CHECKING:
    from reelkeeper.stores.protocols import Store


class ConsoleLink(BaseOperatorLink):
    """From a task to its store in the provider's web console."""

    name = "Store"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        return operator.console_url() if isinstance(operator, StoreOperator) else ""


class StoreOperator(BaseOperator):
    """Works on one store.

    :param store: its name in estate.toml
    :param conn_id: the Airflow connection that opens it
    """

    kind: ClassVar[StoreKind]
    template_fields: Sequence[str] = ("store",)
    operator_extra_links = (ConsoleLink(),)

    def __init__(self, *, store: str, conn_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.store = store
        self.conn_id = conn_id

    def settings(self) -> StoreSettings:
        """The store's settings. ConfigurationError when it is of another kind than the operator."""
        settings = current_estate().store(self.store)
        if settings.kind is not self.kind:
            raise ConfigurationError(
                f"store {self.store!r} is of kind {str(settings.kind)!r}: {type(self).__name__} works on "
                f"{str(self.kind)!r}"
            )
        return settings

    def open(self) -> "Store":
        """The store, by the operator's connection."""
        return open_store(self.settings().name, connection=self.conn_id)

    def console_url(self) -> str:
        """Where a person can look at the store, or ""."""
        return ""


class SetUpStoreOperator(StoreOperator):
    """Makes the store ready: bucket or root, marker, CORS, cache headers, lifecycle rules.

    Changes nothing that is right. Returns how many things were made and how many were found. StoreUnavailable or
    BucketNotFound when the catalogue knows of footage in the store, and it is not there; StoreNotOurs when its marker
    names another catalogue or store.

    :param accept_empty: names of stores that may be made anew although the catalogue knows of footage in them
    :param take_over: names of stores that are this catalogue's from now on, whoever's they were
    """

    template_fields: Sequence[str] = ("store", "accept_empty", "take_over")

    def __init__(self, *, accept_empty: Any = (), take_over: Any = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.accept_empty = accept_empty
        self.take_over = take_over

    def execute(self, context: Context) -> dict[str, int]:
        from reelkeeper.estate_setup import set_up_store

        store = self.open()
        with open_catalogue() as catalogue:
            changes = set_up_store(
                store, catalogue,
                accept_empty=store.name in self.accept_empty, take_over=store.name in self.take_over,
            )  # fmt: skip
        made = sum(change.changed for change in changes)
        return {"made": made, "found": len(changes) - made}


class CheckStoreOperator(StoreOperator):
    """Looks whether the store is ready and every right is there, and leaves nothing behind.

    Returns how many checks passed. ConfigurationError with all that is wrong, and its cures.
    """

    def execute(self, context: Context) -> dict[str, int]:
        checks = list(self.open().check())
        for check in checks:
            self.log.info("%s %s%s", "pass" if check.ok else "FAIL", check.what, check.detail and f": {check.detail}")
        if wrong := [check for check in checks if not check.ok]:
            told = "; ".join(f"{check.what}: {check.detail} (cure: {check.cure})" for check in wrong)
            raise ConfigurationError(f"store {self.store!r} is not ready: {told}")
        return {"passed": len(checks)}


class TransferBatchOperator(TellsLineage, StoreOperator):
    """Copies the open segments of one batch into the store, each verified, then recorded.

    Returns the counts of this try. What is there already is found and accepted, so that a re-run after a kill finishes
    the work. Skipped when the estate's mode forbids the cloud. StoreUnavailable when segments are left for another try.

    :param batch_id: of a batch that `PlanMigrationOperator` planned for this store
    :param verify: "auto" or "read_back"; None: as in estate.toml
    :param delete_local: whether the local copies get their retirement date, or stay for good
    """

    template_fields: Sequence[str] = ("store", "batch_id", "verify", "delete_local")

    def __init__(self, *, batch_id: str, verify: Any = None, delete_local: bool | str = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batch_id = batch_id
        self.verify = verify
        self.delete_local = delete_local

    def expected(self) -> tuple[Iterable[Dataset], Iterable[Dataset]]:
        return (), (Objects(self.store), Table("replicas"))

    def execute(self, context: Context) -> dict[str, int]:
        from uuid import UUID

        from airflow.sdk.exceptions import AirflowSkipException
        from airflow.sdk.observability import stats

        from reelkeeper.migration.job import transfer_batch
        from reelkeeper_airflow.progress import ProgressLog

        settings = self.settings()
        result = transfer_batch(
            current_estate(),
            open_catalogue,
            lambda name: self.open() if name == settings.name else open_store(name),
            BatchId(UUID(str(self.batch_id))),
            verify=self.verify,
            delete_local=truth(self.delete_local, name="delete_local"),
            progress=ProgressLog(self.log, "segments"),
            current_estate=current_estate,
        )
        copies, size_bytes = result.succeeded, result.succeeded_bytes
        self.touched(
            read=[Objects(result.source, objects=copies, size_bytes=size_bytes)] if result.source else (),
            wrote=[Objects(settings.name, objects=copies, size_bytes=size_bytes), Table("replicas", copies)],
        )
        tags = {"store": settings.name, "backend": str(settings.kind)}
        stats.incr("reelkeeper.segments_stored", result.succeeded, tags=tags)
        stats.incr("reelkeeper.bytes_stored", result.succeeded_bytes, tags=tags)
        stats.incr("reelkeeper.transfers_failed", result.failed, tags=tags)
        counts = {
            "succeeded": result.succeeded, "failed": result.failed, "bytes": result.succeeded_bytes,
            "archived": result.archived,
        }  # fmt: skip
        if result.barred:
            context["ti"].xcom_push("return_value", counts | {"stopped": 1})  # the gate must know of it
            raise AirflowSkipException(f"stopped after {result.succeeded} segments: {result.barred}; nothing is lost")
        return counts | {"stopped": 0}


class TierBatchOperator(TellsLineage, StoreOperator):
    """Moves the open replicas of one batch to their new tiers, each verified, then recorded.

    Returns the counts of this try. What a try that was killed has moved is found, so that a re-run finishes the work.
    Skipped when the estate's mode forbids the cloud. StoreUnavailable when replicas are left for another try.

    :param batch_id: of a batch that `PlanTiersOperator` planned for this store
    """

    template_fields: Sequence[str] = ("store", "batch_id")

    def __init__(self, *, batch_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batch_id = batch_id

    def expected(self) -> tuple[Iterable[Dataset], Iterable[Dataset]]:
        return (), (Objects(self.store), Table("replicas"))

    def execute(self, context: Context) -> dict[str, int]:
        from uuid import UUID

        from airflow.sdk.exceptions import AirflowSkipException

        from reelkeeper.tiering.job import tier_batch
        from reelkeeper_airflow.clock import run_clock
        from reelkeeper_airflow.progress import ProgressLog

        settings = self.settings()
        result = tier_batch(
            current_estate(),
            open_catalogue,
            lambda name: self.open() if name == settings.name else open_store(name),
            BatchId(UUID(str(self.batch_id))),
            run_id=context["dag_run"].run_id,
            progress=ProgressLog(self.log, "replicas"),
            now=lambda: run_clock(context),
            current_estate=current_estate,
        )
        self.touched(wrote=[Objects(settings.name, objects=result.moved, size_bytes=result.moved_bytes),
                            Table("replicas", result.moved)])  # fmt: skip
        counts = {
            "moved": result.moved, "failed": result.failed, "dropped": result.dropped, "bytes": result.moved_bytes
        }  # fmt: skip
        if result.barred:
            context["ti"].xcom_push("return_value", counts | {"stopped": 1})  # the gate must know of it
            raise AirflowSkipException(f"stopped after {result.moved} replicas: {result.barred}; nothing is lost")
        return counts | {"stopped": 0}


@dataclass(frozen=True, slots=True)
class Backend:
    """The operators of one kind of store, and the name of their connection argument."""

    conn_id_argument: str
    set_up: type[SetUpStoreOperator]
    check: type[CheckStoreOperator]
    transfer: type[TransferBatchOperator]
    tier: type[TierBatchOperator]

    def bound_to(self, store: StoreSettings) -> dict[str, Any]:
        """The arguments that bind one of these operators to a store."""
        return {"store": store.name, self.conn_id_argument: store.connection}


def placed_at(store: StoreSettings, *others: StoreSettings | LandingZone) -> dict[str, Any]:
    """Where a task on a store runs: in the store's pool, on a worker that sees it and the other places."""
    return {"pool": store.pool} | seen_from(store, *others)


def seen_from(*places: StoreSettings | LandingZone) -> dict[str, Any]:
    """The queue of the workers that see these places: the first that names one."""
    queue = next((place.queue for place in places if place.queue), None)
    return {"queue": queue} if queue else {}


def backend_of(store: StoreSettings) -> Backend:
    """The operators for a store: `BACKEND` of the module that is named like its kind. ConfigurationError."""
    if store.kind is StoreKind.MEMORY:
        raise ConfigurationError(f"store {store.name!r} is of kind 'memory': expected one that several tasks can see")
    backend: Backend = import_module(f"reelkeeper_airflow.operators.{store.kind}").BACKEND
    return backend
