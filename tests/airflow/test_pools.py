"""The stores' pools are there before a task waits for one."""

from pathlib import Path

import pytest

from reelkeeper_airflow.pools import ensure_pools, on_dag_run_running, on_starting


@pytest.fixture
def _no_pools(airflow_database: None) -> None:
    from airflow.models.pool import Pool
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    with create_session() as session:
        session.execute(delete(Pool).where(Pool.pool.like("store_%")))


def slots() -> dict[str, int]:
    from airflow.models.pool import Pool

    return {str(pool.pool): pool.slots for pool in Pool.get_pools() if str(pool.pool).startswith("store_")}


@pytest.mark.usefixtures("_no_pools")
def test_pools_follow_the_estate(estate_file: Path) -> None:
    assert ensure_pools(update=False) == ["store_local", "store_cloud"]
    assert slots() == {"store_local": 3, "store_cloud": 4}
    assert ensure_pools(update=True) == []
    estate_file.write_text(estate_file.read_text().replace("pool_slots = 3", "pool_slots = 5"))
    assert ensure_pools(update=False) == []  # a person may have set it for the time being
    assert ensure_pools(update=True) == ["store_local"]
    assert slots() == {"store_local": 5, "store_cloud": 4}


@pytest.mark.usefixtures("_no_pools", "estate_file")
def test_a_scheduler_makes_them_when_it_starts_and_a_task_does_not() -> None:
    from airflow.jobs.job import Job

    on_starting(object())
    assert slots() == {}
    on_starting(Job())
    assert slots() == {"store_local": 3, "store_cloud": 4}


@pytest.mark.usefixtures("_no_pools", "estate_file")
def test_a_run_that_starts_brings_back_a_missing_one() -> None:
    on_dag_run_running(object(), "started")
    assert set(slots()) == {"store_local", "store_cloud"}


@pytest.mark.usefixtures("_no_pools")
def test_a_wrong_estate_does_not_stop_a_scheduler(estate_file: Path, caplog: pytest.LogCaptureFixture) -> None:
    estate_file.write_text("stores = 1")
    on_dag_run_running(object(), "started")
    assert slots() == {}
    assert "the stores' pools were left as they are" in caplog.text
