"""Reelkeeper in Airflow: hooks, operators, pages and the command line, thin adapters around the core `reelkeeper`."""
