"""What DAGs update and others can be scheduled on. An event's `extra` has the counts of the run that made it."""

from airflow.sdk import Asset

SEGMENTS = Asset("segments", uri="x-reelkeeper://catalogue/segments")
REPLICAS = Asset("replicas", uri="x-reelkeeper://catalogue/replicas")
EXPORTS = Asset("exports", uri="x-reelkeeper://catalogue/exports")
METRICS = Asset("metrics", uri="x-reelkeeper://catalogue/metrics")
"""Nothing follows it: its state is what `report_metrics` last published where only changes are wanted."""
