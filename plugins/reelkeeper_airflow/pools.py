"""The Airflow pools of the estate's stores, made by the scheduler itself.

A task whose pool is missing is never scheduled, and says so nowhere but in the scheduler's log. Tasks cannot make pools
(they may not open Airflow's database), so a listener does, inside the components that may: when one starts, it sets
each pool to the estate's `pool_slots`; when a DAG run starts, it makes those of stores that were added since.
"""

import logging
import sys

from airflow.listeners import hookimpl

from reelkeeper.errors import ReelkeeperError

log = logging.getLogger(__name__)


@hookimpl
def on_starting(component: object) -> None:
    """A scheduler, triggerer or DAG processor starts."""
    jobs = sys.modules.get(
        "airflow.jobs.job"
    )  # a task runner starts too: it has no database, and no use for the import
    if jobs is not None and isinstance(component, jobs.Job):
        _keep_pools(update=True)


@hookimpl
def on_dag_run_running(dag_run: object, msg: str) -> None:
    """A DAG run starts, in the scheduler."""
    _keep_pools(update=False)


def _keep_pools(*, update: bool) -> None:
    from sqlalchemy.exc import SQLAlchemyError

    try:
        changed = ensure_pools(update=update)
    except ReelkeeperError as exc:
        log.warning("the stores' pools were left as they are: %s", exc)
    except SQLAlchemyError as exc:  # another scheduler was first, or the database is not migrated yet
        log.warning("the stores' pools could not be checked (`airflow pools set` makes one by hand): %s", exc)
    else:
        for name in changed:
            log.info("pool %r now has the slots that the estate gives its store", name)


def ensure_pools(*, update: bool) -> list[str]:
    """Make the missing pools and, with `update`, give the others the estate's number of slots. The names changed.

    In a session of its own: the scheduler must not find its transaction committed. ReelkeeperError, SQLAlchemyError.
    """
    from airflow.models.pool import Pool
    from airflow.utils.session import create_session
    from sqlalchemy import select

    from reelkeeper_airflow.estate import current_estate

    wanted = {store.pool: store for store in current_estate().stores}
    changed = []
    with create_session(scoped=False) as session:
        found = {pool.pool: pool for pool in session.scalars(select(Pool).where(Pool.pool.in_(wanted)))}
        for name, store in wanted.items():
            pool = found.get(name)
            if pool is None:
                description = f"tasks at a time on store {store.name!r}: pool_slots in estate.toml"
                session.add(Pool(pool=name, slots=store.pool_slots, description=description, include_deferred=False))
            elif update and pool.slots != store.pool_slots:
                pool.slots = store.pool_slots
            else:
                continue
            changed.append(name)
    return changed
