"""Files that are still written: before they are taken, while they are taken, and after."""

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from time import sleep
from typing import Any

import pytest

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.ingest.keeping import Keeper
from reelkeeper.stores.filesystem import FilesystemStore
from tests.ingest.rig import NOW, Rig, digest, name


def grow(file: Path) -> None:
    with file.open("ab") as half:
        half.write(b"more")


def test_a_growing_file_waits(rig: Rig) -> None:
    file = rig.lands(f"gate/{name(0)}")
    steady = rig.lands(f"gate/{name(1)}", number=1)

    plan = rig.plan(sleep=lambda _: grow(file))
    assert (plan.deferred, plan.files) == (1, 1)
    assert rig.batch(plan.batches[0].id).ingested == 1
    assert (steady.exists(), file.exists()) == (False, True)
    assert not rig.rows("SELECT * FROM landing_files WHERE state <> 'ingested'")
    assert rig.run().ingested == 1, "trailing bytes are the recorder's business"


@pytest.mark.parametrize("when", ["before", "while"])
def test_a_file_that_grows_after_it_was_planned_waits(rig: Rig, when: str, monkeypatch: pytest.MonkeyPatch) -> None:
    file = rig.lands(f"gate/{name(0)}")
    plan = rig.plan()

    if when == "before":
        grow(file)
    else:
        from reelkeeper.ingest import examination

        hash_file = examination.hash_file

        def hash_and_grow(path: Path) -> Any:
            result = hash_file(path)
            grow(file)
            return result

        monkeypatch.setattr(examination, "hash_file", hash_and_grow)
    result = rig.batch(plan.batches[0].id)
    monkeypatch.undo()
    assert (result.deferred, result.quarantined, result.failed) == (1, 0, 0)
    assert not rig.rows("SELECT * FROM landing_files") + rig.rows("SELECT * FROM segments")
    assert rig.run().ingested == 1


def after_recording(rig: Rig, monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    """Let something happen between the catalogue's record and the end of the landing file."""
    open_catalogue = rig.open_catalogue

    def open_with_trap() -> Catalogue:
        catalogue = open_catalogue()
        record = catalogue.segments.record

        def record_and_more(*arguments: Any) -> Any:
            outcomes = record(*arguments)
            happens()
            return outcomes

        monkeypatch.setattr(catalogue.segments, "record", record_and_more)
        return catalogue

    monkeypatch.setattr(rig, "open_catalogue", open_with_trap)


@pytest.mark.parametrize("change", ["append", "replace"])
def test_a_file_that_changed_after_it_was_recorded_stays(
    rig: Rig, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.placement |= {"mode": "cloud", "at_ingest": "rollout"}
    file = rig.lands(f"gate/{name(0)}")
    facts = file.stat()

    def alter() -> None:
        if change == "append":
            grow(file)
        else:  # by another of the same size and time
            rig.lands("other.tmp", data=bytes(reversed(file.read_bytes()))).rename(file)
            os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))

    with monkeypatch.context() as patches:
        after_recording(rig, patches, alter)
        assert rig.run().ingested == 1
    wanted = digest(file)
    assert rig.run(stale_after=timedelta(0)).quarantined == 1
    (left,) = rig.left()
    assert (left, digest(rig.landing / left)) == (f".quarantine/gate/{name(0)}", wanted)
    assert len(rig.replica_digests()) == 1


@pytest.mark.parametrize("when", ["linked", "recorded"])
@pytest.mark.parametrize("handling", ["move", "adopt"])
def test_a_file_that_is_the_replica_itself_and_grows_before_it_is_recorded_waits(
    rig: Rig, when: str, handling: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if handling == "adopt":
        rig.zone |= {"handling": "adopt", "path": rig.root / "local" / "old"}
    file = rig.lands(f"gate/{name(0)}")
    if handling == "adopt":
        (rig.root / "local/old/gate").mkdir(parents=True)
        file = file.rename(rig.root / f"local/old/gate/{name(0)}")
    step = {("linked", "move"): "link_in", ("linked", "adopt"): "key_of"}.get((when, handling), "expect_unchanged")
    of = Keeper if step == "expect_unchanged" else FilesystemStore
    call = getattr(of, step)

    def grow_around(*arguments: Any) -> Any:
        if step != "link_in":
            grow(file)
        result = call(*arguments)
        if step == "link_in":
            grow(file)
        return result

    with monkeypatch.context() as patches:
        patches.setattr(of, step, grow_around)
        result = rig.run()
    assert (result.deferred, result.files) == (1, 1)
    assert not rig.rows("SELECT * FROM segments")
    assert file.stat().st_nlink == 1, "nothing in the store may be written to by a recorder"
    assert rig.run().ingested == 1
    assert len(rig.replica_digests()) == 1


def test_who_lost_a_claim_removes_nothing(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    file = rig.lands(f"gate/{name(0)}")
    from reelkeeper.ingest import examination

    hash_file = examination.hash_file

    def hash_slowly(path: Path) -> Any:
        rig.rows("DELETE FROM landing_files; COMMIT; SELECT 1")  # as another plan would take it over
        sleep(0.3)
        return hash_file(path)

    with monkeypatch.context() as patches:
        patches.setattr(examination, "hash_file", hash_slowly)
        rig.lease = timedelta(seconds=0.4)
        assert rig.run().ingested == 1
    assert file.exists()
    assert (rig.run().duplicates, rig.left()) == (1, [])


def test_a_broken_file_that_still_grows_is_not_quarantined(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = rig.lands("x.mp4").read_bytes()
    (rig.landing / "x.mp4").unlink()
    file = rig.lands(f"gate/{name(0)}", data=whole[:5000])
    plan = rig.plan()
    from reelkeeper.ingest import examination

    probe = examination.probe

    def finish_and_probe(path: Path, **more: Any) -> Any:
        try:
            return probe(path, **more)
        finally:
            file.write_bytes(whole)

    monkeypatch.setattr(examination, "probe", finish_and_probe)
    assert rig.batch(plan.batches[0].id).deferred == 1
    monkeypatch.undo()
    assert rig.run().ingested == 1


@pytest.mark.parametrize("data", [b"", b"no video at all" * 100])
@pytest.mark.parametrize(
    ("age", "waits"),
    [(timedelta(minutes=10), True), (timedelta(minutes=20), False), (timedelta(minutes=-5), True),
     (timedelta(days=-3650), False)],
)  # fmt: skip
def test_a_quiet_file_is_not_condemned_until_its_recorder_is_done(
    rig: Rig, data: bytes, age: timedelta, waits: bool
) -> None:
    rig.zone["quarantine_after_minutes"] = 15
    file = rig.lands(f"gate/{name(0)}", data=data)
    modified = (NOW - age).timestamp()
    os.utime(file, (modified, modified))
    result = rig.run()
    assert (result.deferred, result.quarantined) == ((1, 0) if waits else (0, 1))
    assert file.exists() is waits
    rig.now += timedelta(hours=1)
    assert rig.run().quarantined == waits, "no clock makes it wait for ever"
