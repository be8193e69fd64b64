"""The estate's configuration: `estate.toml`, overridden by environment variables, checked whole before anything runs.

`load_estate` is the only way in. Every error names the key, the value and what was expected, and all errors are told at
once. Secrets are not here: they live in Airflow connections or the environment.
"""

from reelkeeper.settings.loading import LoadedEstate, estate_path, load_estate, read_estate
from reelkeeper.settings.models import (
    Catalogue,
    Delivery,
    Estate,
    Ingest,
    LandingZone,
    Migration,
    Placement,
    Retention,
    Rollout,
    StoreSettings,
)
from reelkeeper.settings.problems import InvalidEstate, Problem

__all__ = [
    "Catalogue",
    "Delivery",
    "Estate",
    "Ingest",
    "InvalidEstate",
    "LandingZone",
    "LoadedEstate",
    "Migration",
    "Placement",
    "Problem",
    "Retention",
    "Rollout",
    "StoreSettings",
    "estate_path",
    "load_estate",
    "read_estate",
]
