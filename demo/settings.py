"""The embedded estate's `estate.toml`. Once it is written it belongs to whoever edits it."""

from pathlib import Path

_ESTATE_TOML = """\
# Written by the demo, for its own servers; what you change here stays. For an estate of your own see estate.toml of
# the project.
name = "demo"
tenant = "demo"
rehearsal = true            # the demo moves the clock on: never do that to footage of your own

[[stores]]
name = "local"
kind = "filesystem"
root = "{folder}/footage"
[stores.tiers]
HOT = {{ usd_per_gb_month = 0.03 }}

[[stores]]
name = "cloud"              # SeaweedFS, in the place of MinIO: prefixes for slower disks
kind = "minio"
bucket = "{cloud_bucket}"
region = "{region}"
cors_origins = ["http://localhost:3000"]
[stores.tiers]
HOT = {{ usd_per_gb_month = 0.02 }}
COOL = {{ prefix = "cool/", usd_per_gb_month = 0.01 }}
COLD = {{ prefix = "cold/", usd_per_gb_month = 0.004 }}

[[stores]]
name = "aws"                # moto, in the place of Amazon S3, with its classes and prices
kind = "s3"
bucket = "{aws_bucket}"

[[stores]]
name = "google"             # an emulator, in the place of Google Cloud Storage
kind = "gcs"
bucket = "reelkeeper-demo-footage"

[[landing_zones]]
name = "recorders"
path = "{folder}/landing"
settle_seconds = 1
quarantine_after_minutes = 0  # the damaged files of the demo do not get better

[placement]
mode = "hybrid"
local_store = "local"
cloud_store = "cloud"
at_ingest = "local"

[rollout]
percentage = 0
steps = [25, 100]
advance = "automatic"
dwell_hours = 24
min_transfers = 20

[retention]
default_days = 365
history_days = 365          # work lists outlive the demo's months, for its tables

[retention_caps]
hard_ratio = 1.0            # all local copies retire on one day, as all were made on one

[tiering]
initial = [{{ tier = "HOT" }}]  # all footage starts warm here, so that there is something to move
"""


def write_settings(path: Path, **places: object) -> None:
    """Write the settings where there are none, or none that anybody has changed; what a person changed stays.

    Beside them lies, as `estate.toml.demo`, what we would write ourselves: by it we know what was changed.
    """
    ours, text = _our_own(path), _ESTATE_TOML.format(**places)
    if not path.exists() or (ours.exists() and path.read_bytes() == ours.read_bytes()):
        path.write_text(text)
    ours.write_text(text)


def changed(path: Path) -> bool:
    """Whether the settings are others than we would write ourselves."""
    return path.read_bytes() != _our_own(path).read_bytes()


def _our_own(path: Path) -> Path:
    return path.with_name(f"{path.name}.demo")
