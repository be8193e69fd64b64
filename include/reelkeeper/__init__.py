"""Reelkeeper's core: everything that happens to footage, free of Airflow.

Read in this order: `model` (the words), `settings` (the estate), `ingest` and `migrate` (the jobs); they stand on
`stores` (where bytes live), `catalogue` (what we know), `policy` (pure decisions) and `media` (what is in a file).
"""
