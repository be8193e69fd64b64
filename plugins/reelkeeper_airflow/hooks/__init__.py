"""Hooks: from an Airflow connection to what the core needs to open a store or the catalogue.

One module per kind of store, named like the kind. Each has `access_for(settings)`: the only place where credentials are
read. `reelkeeper_airflow.estate.open_store` finds it by the kind's name.
"""
