"""A worker may die between any two steps: no footage is lost, none is taken twice, and a re-run finishes the work."""

import subprocess
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path
from time import sleep
from typing import Any

import psycopg2
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from reelkeeper.catalogue.catalogue import Catalogue
from tests.ingest.mortal import LEASE, Death, Fate, run_mortal
from tests.ingest.rig import Rig, digest, name

ROOT = Path(__file__).resolve().parent.parent.parent
NEVER = 10**6


@pytest.fixture
def fresh(tmp_path_factory: pytest.TempPathFactory, catalogue_dsn: str, footage: Any) -> Any:
    """Makes an estate of its own each time, on one database that is emptied."""

    def connect() -> Any:
        return psycopg2.connect(catalogue_dsn)

    def make(**placement: Any) -> Rig:
        connection = connect()
        with connection, connection.cursor() as cursor:
            cursor.execute(
                "TRUNCATE reelkeeper.cameras, reelkeeper.segments, reelkeeper.replicas, reelkeeper.thumbnails,"
                " reelkeeper.batches, reelkeeper.transfer_items, reelkeeper.transfers, reelkeeper.migration_requests,"
                " reelkeeper.landing_files CASCADE"
            )
        connection.close()
        return Rig(tmp_path_factory.mktemp("estate"), lambda: Catalogue(connect), footage, connect, placement=placement)

    return make


def fill(rig: Rig) -> Counter[str]:
    """Footage of every fate: new, twice the same, in conflict, broken, with a sidecar. The digests of all."""
    files = [
        rig.lands(f"gate/{name(0)}", number=0),
        rig.lands(f"door/{name(0)}", number=1),
        rig.lands(f"gate/again/gate_{name(0)}", number=0),
        rig.lands(f"door/again/door_{name(0)}", number=2),
        rig.lands(f"door/{name(1)}", data=b"broken"),
    ]
    files[1].with_name(f"{files[1].name}.json").write_text('{"camera_id": "door"}')
    return Counter(digest(file) for file in files)


def everything(rig: Rig) -> set[str]:
    """The digests of all footage, wherever it is."""
    kept = {digest(path) for path in (rig.root / "local/media").rglob("*") if path.is_file()}
    kept |= {digest(rig.landing / path) for path in rig.left()}
    return kept | {str(rig.cloud.stat(found.key).sha256) for found in rig.cloud.list()}


def check_finished(rig: Rig, before: Counter[str]) -> None:
    replicas = rig.replica_digests()
    waiting = [path for path in rig.left() if not path.startswith(".quarantine/")]
    assert waiting in ([], [f"door/{name(0)}.json"]), "a sidecar may outlive its footage when a kill came between"
    assert len(replicas) == 2
    quarantined = {digest(rig.landing / path) for path in rig.left() if path.endswith(".mp4")}
    assert set(replicas.values()) | quarantined == set(before)
    assert len(quarantined) == 2
    states = Counter(state for (state,) in rig.rows("SELECT state FROM landing_files"))
    assert set(states) <= {"ingested", "duplicate", "quarantined"}
    assert states["quarantined"] == 2


def steps_of(calls: list[str]) -> list[tuple[int, bool]]:
    """Before every call that changes something, and the first of each that does not; after every change."""
    changes = {"cameras.register", "segments.record"} | {f"zone.{name}" for name in ("remove", "quarantine")}
    changes |= {f"landing.{name}" for name in ("plan", "claim", "finish_quarantined", "finish_duplicates")}
    changes |= {"local.link_in", "cloud.write"}
    before = [(step, False) for step, call in enumerate(calls) if call in changes or calls.index(call) == step]
    return before + [(step, True) for step, call in enumerate(calls) if call in changes]


def finish(rig: Rig) -> None:
    sleep(LEASE.total_seconds())
    rig.run(stale_after=timedelta(0))
    rig.run(stale_after=timedelta(0))


@pytest.mark.parametrize("placement", [{}, {"mode": "cloud", "at_ingest": "rollout"}], ids=["local", "cloud"])
def test_death_at_every_step(fresh: Any, placement: dict[str, str]) -> None:
    rig = fresh(**placement)
    before = fill(rig)
    whole = Fate(NEVER)
    run_mortal(rig, whole)
    check_finished(rig, before)
    assert {"zone.remove", "zone.quarantine", "segments.record"} <= set(whole.calls)
    for step, after in steps_of(whole.calls):
        rig = fresh(**placement)
        before = fill(rig)
        with pytest.raises(Death):
            run_mortal(rig, Fate(step, after=after))
        assert set(before) <= everything(rig), f"lost at step {step}, {whole.calls[step]}"
        rig.replica_digests()
        finish(rig)
        check_finished(rig, before)


@settings(
    max_examples=12, deadline=None, phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(
    files=st.lists(st.tuples(st.sampled_from(["gate", "door"]), st.integers(0, 3), st.integers(0, 2)), max_size=8),
    deaths=st.lists(st.integers(0, 60), max_size=3),
)
def test_death_again_and_again(fresh: Any, files: list[tuple[str, int, int]], deaths: list[int]) -> None:
    """Any set of files, with duplicates and conflicts among them, any number of deaths."""
    rig = fresh()
    before = {
        digest(rig.lands(f"{camera}/{index}/{camera}_{name(start)}", number=number))
        for index, (camera, start, number) in enumerate(files)
    }
    for step in deaths:
        try:
            run_mortal(rig, Fate(step))
        except Death:
            sleep(LEASE.total_seconds())
        assert before <= everything(rig)
    finish(rig)
    quarantined = {digest(rig.landing / path) for path in rig.left()}
    replicas = rig.replica_digests()
    assert set(replicas.values()) | quarantined == before
    assert len(replicas) == len({(camera, start) for camera, start, _ in files})
    assert all(path.startswith(".quarantine/") for path in rig.left())


@pytest.mark.parametrize(
    "step", ["local.link_in", "segments.record", "zone.remove", "zone.quarantine", "landing.claim"]
)
def test_kill_9(fresh: Any, step: str, catalogue_dsn: str) -> None:
    """A process that is killed, just before and just after a step."""
    rig = fresh()
    fill(rig)
    whole = Fate(NEVER)
    run_mortal(rig, whole)
    for at in (whole.calls.index(step), whole.calls.index(step) + 1):
        rig = fresh()
        before = fill(rig)
        command = [sys.executable, "-m", "tests.ingest.mortal", str(rig.root), catalogue_dsn, str(at)]
        process = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, timeout=60)
        assert process.returncode == -9, process.stderr.decode()
        assert set(before) <= everything(rig)
        finish(rig)
        check_finished(rig, before)
