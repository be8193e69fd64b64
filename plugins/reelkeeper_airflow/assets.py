"""What DAGs update and others can be scheduled on. An event's `extra` has the counts of the run that made it."""

from airflow.sdk import Asset

SEGMENTS = Asset("segments", uri="x-reelkeeper://catalogue/segments")
REPLICAS = Asset("replicas", uri="x-reelkeeper://catalogue/replicas")
EXPORTS = Asset("exports", uri="x-reelkeeper://catalogue/exports")
