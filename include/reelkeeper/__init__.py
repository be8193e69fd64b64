"""Reelkeeper's core: everything that happens to footage, free of Airflow.

Read in this order: `model` (the words), `settings` (the estate), `ingest.job` and `migration.job` (two of the
jobs; each package of a job has its steps in `job`); they stand on `stores` (where bytes live), `catalogue` (what we
know), `policy` (pure decisions) and `media` (what is in a file).
"""
