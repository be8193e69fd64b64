"""The whole of `estate.toml`."""

from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from reelkeeper.errors import ConfigurationError
from reelkeeper.model import Tenant
from reelkeeper.settings.sections.delivery import Delivery, Exports
from reelkeeper.settings.sections.intake import Ingest, LandingZone
from reelkeeper.settings.sections.keeping import Reconcile, ReconcileCaps, Retention, RetentionCaps, Verification
from reelkeeper.settings.sections.placement import Migration, Placement, Rollout
from reelkeeper.settings.sections.quality import Quality
from reelkeeper.settings.sections.section import Section
from reelkeeper.settings.sections.stores import ON_THIS_MACHINE, StoreSettings
from reelkeeper.settings.sections.tiering import Costs, Restore, Tiering
from reelkeeper.settings.sections.watching import Alarms, DailyReport, Metrics
from reelkeeper.settings.values import LogLevel, Name, Whole


class Catalogue(Section):
    """Where the catalogue is. Address and credentials are the Airflow connection's."""

    connection: str = "reelkeeper_catalogue"
    """Airflow connection id, of type postgres."""
    db_schema: Annotated[str, Field(alias="schema", pattern=r"^[a-z_][a-z0-9_]{0,62}$")] = "reelkeeper"
    """PostgreSQL schema of the tables."""


class Estate(Section):
    """The whole configuration."""

    name: Name = "estate"
    """What reports and logs call the estate."""
    tenant: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")] = "default"
    """Whose footage it is, where nothing else says so; it stands in every key."""
    log_level: LogLevel = "INFO"
    """The least severe of Reelkeeper's own log lines that are written."""
    rehearsal: bool = False
    """Whether the DAGs that move and delete take a `clock` of their own, to try out what they will do in a month.
    For a demo or a test only: with a clock in the future footage is deleted early."""
    lease_seconds: Annotated[Whole, Field(ge=2, le=3600)] = 60
    """How long what a worker has claimed stays its own without a sign of life. A worker renews it in time; what a
    killed one had is taken up by the next try after this long."""
    stores: tuple[StoreSettings, ...]
    """The stores, each a `[[stores]]` table."""
    landing_zones: tuple[LandingZone, ...] = ()
    """The landing zones, each a `[[landing_zones]]` table."""
    placement: Placement
    rollout: Rollout = Rollout()
    ingest: Ingest = Ingest()
    migration: Migration = Migration()
    tiering: Tiering = Tiering()
    restore: Restore = Restore()
    exports: Exports = Exports()
    retention: Retention = Retention()
    retention_caps: RetentionCaps = RetentionCaps()
    reconcile: Reconcile = Reconcile()
    reconcile_caps: ReconcileCaps = ReconcileCaps()
    verification: Verification = Verification()
    costs: Costs = Costs()
    delivery: Delivery = Delivery()
    metrics: Metrics = Metrics()
    daily_report: DailyReport = DailyReport()
    alarms: Alarms = Alarms()
    quality: Quality = Quality()
    catalogue: Catalogue = Catalogue()

    @property
    def tenant_name(self) -> Tenant:
        return Tenant(self.tenant)

    @property
    def lease(self) -> timedelta:
        """`lease_seconds`."""
        return timedelta(seconds=self.lease_seconds)

    def store(self, name: str) -> StoreSettings:
        """The store of this name. ConfigurationError that lists the names there are."""
        for store in self.stores:
            if store.name == name:
                return store
        raise ConfigurationError(f"unknown store {name!r}: expected one of {[store.name for store in self.stores]}")

    def stores_by_queue(self) -> dict[str | None, list[str]]:
        """The names of the stores by the worker queue that sees them; None: any worker does."""
        queues: dict[str | None, list[str]] = {}
        for store in self.stores:
            queues.setdefault(store.queue, []).append(store.name)
        return queues

    def is_local(self, store: StoreSettings) -> bool:
        """Whether a store counts as local, in use in every mode: the primary store of whatever kind, and every disk."""
        return store.name == self.placement.local_store or store.kind in ON_THIS_MACHINE

    def barred(self, destination: StoreSettings) -> str | None:
        """Why nothing may go to the store in the mode that is set; None when it may."""
        if self.is_local(destination) or self.placement.mode in ("cloud", "hybrid"):
            return None
        return f"placement.mode is {self.placement.mode!r}: nothing goes to store {destination.name!r}"

    def retire_others_after(self, store: str, now: datetime) -> datetime | None:
        """When the local copies may leave of what is verified in a store at `now`; None when that is a local one, too.

        ConfigurationError for a store that the estate does not know.
        """
        if self.is_local(self.store(store)):
            return None
        return now + timedelta(days=self.migration.local_retention_days)

    def zone(self, name: str) -> LandingZone:
        """The landing zone of this name. ConfigurationError that lists the names there are."""
        for zone in self.landing_zones:
            if zone.name == name:
                return zone
        raise ConfigurationError(
            f"unknown landing zone {name!r}: expected one of {[zone.name for zone in self.landing_zones]}"
        )
