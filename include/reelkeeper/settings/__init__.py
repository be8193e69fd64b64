"""The estate's configuration: `estate.toml`, overridden by environment variables, checked whole before anything runs.

`load_estate` is the only way in. Every error names the key, the value and what was expected, and all errors are told at
once. Secrets are not here: they live in Airflow connections or the environment.
"""

from reelkeeper.settings.estate import Catalogue, Estate
from reelkeeper.settings.loading import LoadedEstate, estate_path, load_estate, read_estate
from reelkeeper.settings.problems import InvalidEstate, Problem
from reelkeeper.settings.sections.delivery import Delivery, Exports
from reelkeeper.settings.sections.intake import Ingest, LandingZone
from reelkeeper.settings.sections.keeping import Caps, Reconcile, ReconcileCaps, Retention, RetentionCaps, Verification
from reelkeeper.settings.sections.placement import Migration, Placement, Rollout
from reelkeeper.settings.sections.quality import Demand, Quality
from reelkeeper.settings.sections.stores import StoreSettings, TierPlace
from reelkeeper.settings.sections.tiering import Costs, InitialTier, Restore, Tiering, TierStep
from reelkeeper.settings.sections.watching import AlarmChannel, Alarms, DailyReport, Metrics

__all__ = [
    "AlarmChannel",
    "Alarms",
    "Caps",
    "Catalogue",
    "Costs",
    "DailyReport",
    "Delivery",
    "Demand",
    "Estate",
    "Exports",
    "Ingest",
    "InitialTier",
    "InvalidEstate",
    "LandingZone",
    "LoadedEstate",
    "Metrics",
    "Migration",
    "Placement",
    "Problem",
    "Quality",
    "Reconcile",
    "ReconcileCaps",
    "Restore",
    "Retention",
    "RetentionCaps",
    "Rollout",
    "StoreSettings",
    "TierPlace",
    "TierStep",
    "Tiering",
    "Verification",
    "estate_path",
    "load_estate",
    "read_estate",
]
