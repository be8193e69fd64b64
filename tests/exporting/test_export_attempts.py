"""A worker that outlives its run: whatever it was about to do, what another run began anew is not touched."""

from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from typing import Any

import psycopg2
import pytest

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.export_records import Export
from reelkeeper.errors import CatalogueUnavailable, ExportEnded, GateFailed, TransientError
from reelkeeper.exporting import composing as export_composing
from reelkeeper.exporting import cutting as export_cutting
from reelkeeper.exporting import ending as export_ending
from reelkeeper.exporting.job import deliver_export, step
from reelkeeper.media.verification import verify
from tests.exporting.conftest import NOW, START, Rig, counters

IDENTITY = "6a1f0c1e-9b0f-4d0a-8f53-65787066f700"
FIRST = {"start_time": "2026-03-01T10:00:00Z", "end_time": "2026-03-01T10:00:02Z"}
SECOND = {"start_time": "2026-03-01T10:00:05Z", "end_time": "2026-03-01T10:00:08Z"}


def begun(rig: Rig) -> Export:
    rig.record([0, 1, 2, 3])
    return rig.accept("gate", run_id="A", export_id=IDENTITY, **FIRST)


def anew(rig: Rig, export: Export, run_id: str = "B", **terms: str) -> Export:
    """The first run failed, and another began."""
    assert rig.fail(export)
    return rig.accept("gate", run_id=run_id, export_id=IDENTITY, **(terms or SECOND))


def during(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, act: Callable[[], object]) -> None:
    """Let something happen right after a step's function of that name has done its work."""
    real, done = getattr(module, name), []

    def followed(*arguments: Any, **named: Any) -> Any:
        result = real(*arguments, **named)
        if not done:
            done.append(True)
            act()
        return result

    monkeypatch.setattr(module, name, followed)


def expect_second(rig: Rig) -> None:
    """The second run makes what it was asked for, and nothing else is there."""
    export = rig.catalogue.exports.get(rig.accept("gate", run_id="B", export_id=IDENTITY, **SECOND).id)
    assert export is not None
    assert (export.attempt, export.failure) == (2, None)
    assert not rig.cut(export).already
    rig.compose(export)
    done = rig.deliver(export)
    files = rig.fetched(done)
    assert counters(files["footage"]) == list(range(50, 80))
    assert verify(files["manifest"], [rig.signer.public_key]).is_genuine
    assert {str(file.path) for file in rig.catalogue.exports.files(done.id)} == rig.objects()


@pytest.mark.parametrize("when", ["fetch", "write_export_file"])
def test_a_cut_of_the_dead_run_stays_out(rig: Rig, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    export = begun(rig)
    during(monkeypatch, export_cutting, when, lambda: anew(rig, export))
    with (
        pytest.raises(ExportEnded, match="attempt 2 by run 'B': expected attempt 1 by run 'A', under way"),
        step(rig.catalogue, export.id, "it could not be cut", run_id="A", now=NOW),
    ):
        rig.cut(export)
    assert rig.objects() == set()
    assert rig.catalogue.exports.files(export.id) == []
    with pytest.raises(ExportEnded, match="of run 'B': expected one under way, of run 'A'"):
        rig.cut(export)
    expect_second(rig)


def test_a_cut_that_ends_after_its_export_leaves_nothing(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    export = begun(rig)
    during(monkeypatch, export_cutting, "write_export_file", lambda: rig.fail(export))
    with pytest.raises(ExportEnded, match="is FAILED, attempt 1"):
        rig.cut(export)
    assert (rig.objects(), rig.catalogue.exports.files(export.id)) == (set(), [])


def test_the_same_run_begun_anew_is_another_attempt(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same terms and the same bytes: what the first attempt removes is not what the second one wrote."""
    export = begun(rig)

    def overtaken() -> None:
        assert not rig.cut(anew(rig, export, "A", **FIRST)).already

    during(monkeypatch, export_cutting, "write_export_file", overtaken)
    with pytest.raises(ExportEnded):
        rig.cut(export)
    [file] = rig.catalogue.exports.files(export.id)
    assert rig.objects() == {str(file.path)}
    rig.compose(export)
    assert counters(rig.fetched(rig.deliver(export))["footage"]) == list(range(20))


def test_a_late_twin_does_not_remove_what_counts(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two workers of one attempt wrote the same object, and the export is done before the slower one looks again."""
    export = begun(rig)

    def overtaken() -> None:
        rig.cut(export)
        rig.compose(export)
        rig.deliver(export)

    during(monkeypatch, export_cutting, "write_export_file", overtaken)
    with pytest.raises(ExportEnded, match="is COMPLETED"):
        rig.cut(export)
    assert {str(file.path) for file in rig.catalogue.exports.files(export.id)} == rig.objects()


@pytest.mark.parametrize("when", ["make_thumbnail", "contact_sheet", "write_export_file"])
def test_what_the_dead_run_composes_stays_out(rig: Rig, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    export = begun(rig)
    rig.cut(export)
    during(monkeypatch, export_composing, when, lambda: anew(rig, export))
    with pytest.raises(ExportEnded):
        rig.compose(export)
    assert rig.objects() == set()
    expect_second(rig)


@pytest.mark.parametrize("is_begun", [False, True])
def test_the_dead_run_does_not_deliver(rig: Rig, monkeypatch: pytest.MonkeyPatch, is_begun: bool) -> None:
    export = begun(rig)
    rig.cut(export)
    rig.compose(export)

    def overtaken() -> None:
        other = anew(rig, export)
        if is_begun:
            rig.catalogue.exports.begin(other, now=NOW)

    during(monkeypatch, export_ending, "under_way", overtaken)
    with pytest.raises(ExportEnded):
        rig.deliver(export)
    expect_second(rig)
    with pytest.raises(ExportEnded, match="is COMPLETED, of run 'B'"):
        rig.deliver(export)


def test_the_dead_run_neither_fails_the_new_one_nor_blames_it(rig: Rig) -> None:
    export = begun(rig)

    def overtaken() -> None:
        anew(rig, export)
        raise TransientError("the worker was far away")

    with pytest.raises(TransientError), step(rig.catalogue, export.id, "it could not be cut", run_id="A", now=NOW):
        overtaken()
    assert not rig.fail(export)
    expect_second(rig)


def test_what_cannot_be_is_not_signed(rig: Rig) -> None:
    """Whatever a bug may record: a manifest claims no frame that was not asked for."""
    export = begun(rig)
    rig.cut(export)
    rig.compose(export)
    outside = (START + timedelta(seconds=5)).isoformat()
    rig.sql("UPDATE export_cameras SET cut = jsonb_set(cut, '{last_frame}', to_jsonb(%s::text))", outside)
    with pytest.raises(GateFailed, match=r"camera 'gate' shows .*: expected frames from 2026-03-01T10:00:00"):
        rig.deliver(export)
    found = rig.catalogue.exports.get(export.id)
    assert found is not None
    assert found.status == "PROCESSING"


def test_a_worker_whose_connection_is_gone_replaces_no_manifest(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, catalogue_dsn: str
) -> None:
    """It signs a manifest, loses the lock with its connection, and writes after another worker has delivered."""
    export = begun(rig)
    rig.cut(export)
    rig.compose(export)
    delivered: list[Export] = []

    def overtaken() -> None:
        rig.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()")  # fmt: skip
        with Catalogue(lambda: psycopg2.connect(catalogue_dsn)) as catalogue:
            delivered.append(
                deliver_export(
                    rig.estate, catalogue, rig.open_store, export.id, signer=rig.signer, link=str, run_id="A",
                    now=NOW + timedelta(seconds=1),
                )
            )  # fmt: skip

    during(monkeypatch, export_ending, "signed", overtaken)
    with pytest.raises(CatalogueUnavailable):
        rig.deliver(export)
    assert delivered[0].status == "COMPLETED"
    [recorded] = [file for file in rig.catalogue.exports.files(export.id) if file.kind == "manifest"]
    given = rig.fetched(export)["manifest"]
    assert sha256(given.read_bytes()).hexdigest() == recorded.checksum
    assert verify(given, [rig.signer.public_key]).is_genuine
    assert rig.deliver(export) == delivered[0]
    assert {str(file.path) for file in rig.catalogue.exports.files(export.id)} == rig.objects()
