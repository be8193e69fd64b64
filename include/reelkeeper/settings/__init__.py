"""The estate's configuration: `estate.toml`, overridden by environment variables, checked whole before anything runs.

`load_estate` is the only way in. Every error names the key, the value and what was expected, and all errors are told at
once. Secrets are not here: they live in Airflow connections or the environment.
"""

from reelkeeper.settings.models import (
    Catalogue,
    Estate,
    Ingest,
    LandingZone,
    Migration,
    Placement,
    Retention,
    Rollout,
    StoreSettings,
)

__all__ = [
    "Catalogue",
    "Estate",
    "Ingest",
    "LandingZone",
    "Migration",
    "Placement",
    "Retention",
    "Rollout",
    "StoreSettings",
]
