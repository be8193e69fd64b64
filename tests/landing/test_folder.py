"""A folder is scanned for footage and nothing else, and what leaves it is never overwritten elsewhere."""

import os
from pathlib import Path

import pytest

from reelkeeper.errors import BucketNotFound, ObjectNotFound
from reelkeeper.landing.folder import FolderSource


@pytest.fixture
def zone(tmp_path: Path) -> Path:
    (tmp_path / "zone").mkdir()
    return tmp_path / "zone"


def put(path: Path, data: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def source(zone: Path) -> FolderSource:
    return FolderSource("zone", zone, ("mp4", "ts"))


def test_what_a_scan_finds(zone: Path, tmp_path: Path) -> None:
    for name in (
        "a.mp4", "B.MP4", "deep/er/c.ts", "notes.txt", ".hidden.mp4", ".hidden/d.mp4", "e.mp4.part", "f.part.mp4",
        "~g.mp4", "h.tmp.mp4", "i.mp4~", ".quarantine/j.mp4", "k", "l.mp4.json", "umlaut-ä/m.mp4", "mp4",
    ):  # fmt: skip
        put(zone / name)
    outside = put(tmp_path / "outside/secret.mp4")
    (zone / "link.mp4").symlink_to(outside)
    (zone / "linked").symlink_to(outside.parent)
    (zone / "loop").symlink_to(zone)
    os.mkfifo(zone / "fifo.mp4")
    put(Path(os.fsdecode(os.fsencode(zone) + b"/no-\xff-text.mp4")))
    assert [found.path for found in source(zone).scan()] == ["B.MP4", "a.mp4", "deep/er/c.ts", "umlaut-ä/m.mp4"]


def test_a_link_is_not_followed_when_it_comes_later(zone: Path, tmp_path: Path) -> None:
    """Somebody who may write to the zone must not make us read, move or remove other files."""
    put(zone / "cam/a.mp4")
    outside = put(tmp_path / "outside/a.mp4", b"secret")
    (zone / "cam/a.mp4").unlink()
    (zone / "cam").rmdir()
    (zone / "cam").symlink_to(outside.parent)
    assert source(zone).look("cam/a.mp4") is None
    with pytest.raises(ObjectNotFound):
        source(zone).fetch("cam/a.mp4")


def test_sidecars_belong_to_the_look(zone: Path) -> None:
    put(zone / "a.mp4")
    (before,) = source(zone).scan()
    put(zone / "a.mp4.json", b"{}")
    (after,) = source(zone).scan()
    assert before != after == source(zone).look("a.mp4")


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BucketNotFound):
        list(source(tmp_path / "unmounted").scan())


def test_quarantine_never_overwrites(zone: Path) -> None:
    for number in range(3):
        put(zone / "cam/a.mp4", str(number).encode())
        put(zone / "cam/a.mp4.json", b"{}")
        source(zone).quarantine("cam/a.mp4", source(zone).quarantine_place("cam/a.mp4"))
    kept = {path.name: path.read_bytes() for path in (zone / ".quarantine/cam").glob("*.mp4")}
    assert kept == {"a.mp4": b"0", "a~2.mp4": b"1", "a~3.mp4": b"2"}
    assert len(list((zone / ".quarantine/cam").glob("*.json"))) == 3
    assert not list(source(zone).scan())


def test_a_killed_quarantine_is_finished(zone: Path) -> None:
    file = put(zone / "a.mp4")
    place = source(zone).quarantine_place("a.mp4")
    Path(place).parent.mkdir()
    Path(place).hardlink_to(file)  # as far as a killed run came
    assert source(zone).quarantine_place("a.mp4") == place
    source(zone).quarantine("a.mp4", place)
    source(zone).quarantine("a.mp4", place)
    assert not file.exists()
    assert Path(place).read_bytes() == b"x"


def test_removing_twice_changes_nothing(zone: Path) -> None:
    put(zone / "a.mp4")
    put(zone / "a.mp4.json")
    source(zone).remove("a.mp4")
    source(zone).remove("a.mp4")
    assert not list(zone.iterdir())


def test_a_path_that_no_row_can_hold_is_left_alone(zone: Path, caplog: pytest.LogCaptureFixture) -> None:
    deep = zone.joinpath(*(["ä" * 100] * 9))
    put(deep / f"{'x' * 187}.mp4")
    put(deep / f"{'x' * 188}.mp4")
    assert [len(seen.path.encode()) for seen in source(zone).scan()] == [2000]
    assert "is longer than 2000 bytes, left alone" in caplog.text
