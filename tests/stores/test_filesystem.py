"""What only disks do: they go away, fill up, break, fold names, and writers on them are killed."""

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from reelkeeper.errors import (
    AccessDenied,
    ConfigurationError,
    InvalidKey,
    ObjectExists,
    ReelkeeperError,
    StoreFull,
    StoreNotOurs,
    StoreUnavailable,
)
from reelkeeper.model import Key, Sha256
from reelkeeper.stores import disk
from reelkeeper.stores.body import Body
from reelkeeper.stores.marker import MARKER
from reelkeeper.stores.protocols import Owner
from reelkeeper.stores.publishing import HIDDEN
from tests.stores.rigs import folder_store

A = Key("media/a.ts")
FOOTAGE = Body.of_bytes(b"footage" * 100_000)


@pytest.fixture
def store(root: Path) -> Any:
    opened = folder_store(root)
    opened.set_up()
    return opened


def use(store: Any) -> list[Callable[[], object]]:
    """Every way to use a store."""
    return [
        lambda: store.stat(A),
        lambda: list(store.read(A)),
        lambda: store.read_range(A, 0, 1),
        lambda: list(store.list()),
        lambda: store.write(Key("b.ts"), FOOTAGE),
        lambda: store.copy(A, Key("b.ts")),
        lambda: store.delete([A]),
        lambda: store.link_in(Path(__file__), Key("b.ts")),
    ]


class TestDisksThatAreNotThere:
    def test_without_its_marker_nothing_is_known(self, store: Any, root: Path) -> None:
        store.write(A, FOOTAGE)
        (root / MARKER).rename(root.parent / "marker")
        for way in use(store):
            with pytest.raises(StoreUnavailable, match="marker"):
                way()
        assert [finding.ok for finding in store.check()] == [False]
        (root.parent / "marker").rename(root / MARKER)
        assert [stat.key for stat in store.list()] == [A]

    def test_an_unmounted_disk_leaves_an_empty_folder(self, store: Any, root: Path) -> None:
        store.write(A, FOOTAGE)
        root.rename(root.parent / "unmounted")
        for there in (False, True):
            if there:
                root.mkdir()
            for way in use(store):
                with pytest.raises(StoreUnavailable):
                    way()
        assert list(root.iterdir()) == []

    def test_a_disk_that_goes_during_a_listing_is_no_short_listing(self, store: Any, root: Path) -> None:
        for folder in "abcdef":
            store.write(Key(f"{folder}/1.ts"), FOOTAGE)
        listing = store.list()
        next(listing)
        root.rename(root.parent / "unmounted")
        with pytest.raises(StoreUnavailable):
            list(listing)

    def test_a_disk_mounted_in_anothers_place_is_noticed(self, store: Any, root: Path) -> None:
        other = folder_store(root, "other")
        with pytest.raises(StoreUnavailable, match="belongs to store 'conformed'"):
            other.stat(A)
        with pytest.raises(StoreUnavailable, match="belongs to store 'conformed'"):
            other.set_up()

    def test_a_marker_of_before_catalogues_is_upgraded(self, store: Any, root: Path) -> None:
        (root / MARKER).write_text('{"store": "conformed", "about": "as it was written once"}')
        store.write(A, FOOTAGE)
        assert store.owner() == Owner(store.name, None)
        ours = Owner(store.name, uuid4(), "db.ours")
        assert [change.changed for change in store.set_up(ours)] == [False, True]
        assert (store.owner(), folder_store(root).owner()) == (ours, ours)
        assert [stat.key for stat in store.list()] == [A]
        with pytest.raises(StoreNotOurs, match=f"{ours.catalogue}"):
            store.set_up(Owner(store.name, uuid4()))
        assert [path.name for path in root.iterdir() if path.name.startswith(MARKER)] == [MARKER]

    def test_a_damaged_marker_is_unknown_till_it_is_taken_over(self, store: Any, root: Path) -> None:
        ours = Owner(store.name, uuid4())
        (root / MARKER).write_text("{}")
        for way in (store.owner, lambda: store.set_up(ours), *use(folder_store(root))):
            with pytest.raises(StoreUnavailable, match="marker"):
                way()
        store.set_up(ours, take_over=True)
        assert store.owner() == ours

    def test_an_object_that_goes_with_its_disk_is_not_called_missing(self, store: Any, root: Path) -> None:
        store.stat  # noqa: B018 - the marker was seen before
        store.write(A, FOOTAGE)
        root.rename(root.parent / "unmounted")
        root.mkdir()
        with pytest.raises(StoreUnavailable):
            store.stat(A)


class TestFullAndBrokenDisks:
    @pytest.mark.parametrize(
        ("code", "expected"),
        [
            (errno.ENOSPC, StoreFull), (errno.EDQUOT, StoreFull), (errno.EIO, StoreUnavailable),
            (errno.ESTALE, StoreUnavailable), (errno.EACCES, AccessDenied), (errno.EROFS, AccessDenied),
            (errno.EXDEV, ConfigurationError),
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("step", ["write_all", "sync_and_forget", "publish", "sync_directory"])
    def test_a_write_that_fails_leaves_no_object(
        self, store: Any, monkeypatch: pytest.MonkeyPatch, step: str, code: int, expected: type[ReelkeeperError]
    ) -> None:
        def fail(*_: object) -> None:
            raise OSError(code, os.strerror(code))

        with monkeypatch.context() as patched:
            patched.setattr(disk, step, fail)
            with pytest.raises(expected):
                store.write(A, FOOTAGE)
        if step != "sync_directory":  # after which the object has its name, but perhaps not for long
            assert list(store.list()) == []
        store.delete([A])
        store.write(A, FOOTAGE)
        assert b"".join(store.read(A)) == FOOTAGE.whole()

    def test_a_read_that_fails_is_not_an_end(self, store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        store.write(A, FOOTAGE)

        def fail(*_: object) -> bytes:
            raise OSError(errno.EIO, "broken sector")

        monkeypatch.setattr(os, "read", fail)
        with pytest.raises(StoreUnavailable, match="broken sector"):
            list(store.read(A))

    def test_a_disk_that_is_really_full(self, tmp_path: Path) -> None:
        with small_disk(tmp_path / "disk") as mounted:
            store = folder_store(mounted)
            store.set_up()
            large = Body.of_bytes(os.urandom(4 * 2**20))
            with pytest.raises(StoreFull):
                store.write(A, large)
            assert list(store.list()) == []
            assert list((mounted / HIDDEN).iterdir()) == []
            store.write(A, FOOTAGE)
            assert store.stat(A).size_bytes == FOOTAGE.size_bytes

    def test_low_space_is_told(self, tmp_path: Path) -> None:
        with small_disk(tmp_path / "disk") as mounted:
            store = folder_store(mounted)
            store.set_up()
            (mounted / "big").write_bytes(bytes(2_050_000))
            findings = {finding.what: finding for finding in store.check()}
            assert not findings["space"].ok
            assert findings["space"].cure


class small_disk:  # noqa: N801 - a context manager
    """A file system of 2 MiB, where we may mount one."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Path:
        self._path.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(self._path)]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as exc:
            pytest.skip(f"no right to mount a small disk: {exc}")
        return self._path

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", str(self._path)], check=True)


class TestKilledWriters:
    def test_kill_9_leaves_no_object_and_a_later_writer_cleans_up(self, store: Any, root: Path) -> None:
        program = """
            import sys, time
            from pathlib import Path
            from reelkeeper.stores.body import Body
            from reelkeeper.stores.filesystem import FilesystemStore
            def chunks():
                yield bytes(1 << 20)
                yield bytes(1 << 20)
                print("half way", flush=True)
                time.sleep(60)
            FilesystemStore("conformed", Path(sys.argv[1])).write("media/a.ts", Body(3 << 20, "0" * 64, chunks))
        """
        source = "\n".join(line.removeprefix(" " * 12) for line in program.splitlines())
        with subprocess.Popen([sys.executable, "-c", source, str(root)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"half way\n"
            writer.send_signal(signal.SIGKILL)
        [leftover] = (root / HIDDEN).iterdir()
        assert list(store.list()) == []
        assert not (root / A).exists()
        folder_store(root).write(Key("b.ts"), FOOTAGE)
        assert leftover.exists()  # too young: its writer may be alive
        os.utime(leftover, (time.time() - 90_000,) * 2)
        folder_store(root).write(A, FOOTAGE)
        assert not leftover.exists()

    def test_a_writer_whose_file_was_cleaned_up_fails_and_may_try_again(self, store: Any, root: Path) -> None:
        def chunks() -> Iterator[bytes]:
            yield b"foo"
            for file in (root / HIDDEN).iterdir():
                file.unlink()
            yield b"tage"

        with pytest.raises(StoreUnavailable):
            store.write(A, Body(7, Sha256(sha256(b"footage").hexdigest()), chunks))
        store.write(A, FOOTAGE)


class TestNames:
    @pytest.mark.parametrize("key", [MARKER, HIDDEN, f"{HIDDEN}/a.ts", "lost+found/a.ts"])
    def test_our_own_and_the_disks_own_are_no_objects(self, store: Any, root: Path, key: Key) -> None:
        (root / "lost+found").mkdir()
        (root / "lost+found" / "#1").write_bytes(b"")
        for way in (lambda: store.stat(key), lambda: store.write(key, FOOTAGE), lambda: store.key_of(root / key)):
            with pytest.raises(InvalidKey):
                way()
        assert list(store.list()) == []

    def test_a_folder_in_the_way(self, store: Any) -> None:
        store.write(Key("a/b.ts"), FOOTAGE)
        for key in ("a", "a/b.ts/c.ts"):
            with pytest.raises(InvalidKey):
                store.write(Key(key), FOOTAGE)
        assert store.delete([Key("a")]) == {}
        assert [stat.key for stat in store.list()] == ["a/b.ts"]

    def test_links_are_no_objects(self, store: Any, root: Path, tmp_path: Path) -> None:
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere" / "a.ts").write_bytes(b"")
        (root / "folder").symlink_to(tmp_path / "elsewhere")
        (root / "a.ts").symlink_to(tmp_path / "elsewhere" / "a.ts")
        assert list(store.list()) == list(store.list("folder/")) == []
        with pytest.raises(ReelkeeperError):
            list(store.read(Key("a.ts")))

    def test_prefixes_cannot_leave_the_root(self, store: Any, root: Path) -> None:
        (root.parent / "outside.ts").write_bytes(b"")
        assert [list(store.list(prefix)) for prefix in ("../", "/", f"{root.parent}/", "a//", "./")] == [[]] * 5

    def test_foreign_names_are_listed_as_they_are(self, store: Any, root: Path) -> None:
        for name in (b"back\\slash", b"e\xcc\x81", b"latin-\xe9"):
            Path(os.fsdecode(os.fsencode(root) + b"/" + name)).write_bytes(b"")
        assert {os.fsencode(stat.key) for stat in store.list()} == {b"back\\slash", b"e\xcc\x81", b"latin-\xe9"}

    def test_names_that_a_disk_folds_together_are_refused(self, store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """Such a disk cannot be had everywhere, so the file system's answer is acted here."""
        assert store._folds_names is False  # tried on the disk of the tests
        store.write(Key("Camera/A.ts"), FOOTAGE)
        really = disk.exists

        def folding(path: str) -> bool:
            parent, name = os.path.split(path)
            return really(path) or (
                Path(parent).is_dir() and name.casefold() in {other.name.casefold() for other in Path(parent).iterdir()}
            )

        monkeypatch.setattr(disk, "exists", folding)
        store.__dict__["_folds_names"] = disk.folds_names(store._publisher.hidden_folder())
        assert store._folds_names is True
        for key in ("camera/a.ts", "camera/b.ts", "Camera/a.ts"):
            with pytest.raises(InvalidKey, match="another spelling"):
                store.write(Key(key), FOOTAGE)
        store.write(Key("Camera/B.ts"), FOOTAGE)
        with pytest.raises(ObjectExists):
            store.write(Key("Camera/A.ts"), FOOTAGE)

    def test_paths_and_keys(self, store: Any, root: Path, tmp_path: Path) -> None:
        assert store.path_of(A) == root / "media" / "a.ts"
        assert store.key_of(root / "media" / ".." / "media" / "a.ts") == A
        (tmp_path / "way-in").symlink_to(root)
        assert store.key_of(tmp_path / "way-in" / "media" / "a.ts") == A
        for outside in (root, root.parent / "rootless.ts", root / ".." / "a.ts"):
            with pytest.raises(InvalidKey):
                store.key_of(outside)


class TestLinks:
    def test_linked_in_without_a_copy(self, store: Any, tmp_path: Path) -> None:
        source = tmp_path / "recording.ts"
        source.write_bytes(b"footage")
        assert store.link_in(source, A) is True
        assert store.path_of(A).samefile(source)
        source.unlink()
        assert b"".join(store.read(A)) == b"footage"

    def test_an_old_recording_is_a_young_object(self, store: Any, tmp_path: Path) -> None:
        """Its age in the store counts, or a clean-up would take it for an old orphan."""
        source = tmp_path / "recording.ts"
        source.write_bytes(b"footage")
        os.utime(source, (0, 0))
        store.link_in(source, A)
        assert time.time() - store.stat(A).last_modified.timestamp() < 60

    def test_never_in_place_of_another(self, store: Any, tmp_path: Path) -> None:
        store.write(A, FOOTAGE)
        (tmp_path / "recording.ts").write_bytes(b"other")
        with pytest.raises(ObjectExists):
            store.link_in(tmp_path / "recording.ts", A)
        assert store.stat(A).size_bytes == FOOTAGE.size_bytes

    def test_not_from_another_file_system(self, store: Any, tmp_path: Path) -> None:
        with small_disk(tmp_path / "disk") as mounted:
            (mounted / "recording.ts").write_bytes(b"footage")
            assert store.link_in(mounted / "recording.ts", A) is False
        assert list(store.list()) == []

    def test_a_disk_without_links_still_never_overwrites(self, store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        def no_links(*_: object, **__: object) -> None:
            raise OSError(errno.EPERM, "no hard links here")

        monkeypatch.setattr(os, "link", no_links)
        store.write(A, FOOTAGE)
        monkeypatch.setattr(store, "_refuse_existing", lambda key, path: None)  # as if another writer came in between
        with pytest.raises(ObjectExists):
            store.write(A, Body.of_bytes(b"other"))
        store.copy(A, Key("b.ts"))
        assert b"".join(store.read(A)) == b"".join(store.read(Key("b.ts"))) == FOOTAGE.whole()


def test_deleting_the_last_object_removes_its_folders(store: Any, root: Path) -> None:
    store.write(Key("a/b/c/1.ts"), FOOTAGE)
    store.write(Key("a/2.ts"), FOOTAGE)
    store.delete([Key("a/b/c/1.ts")])
    assert sorted(path.name for path in (root / "a").iterdir()) == ["2.ts"]
    store.delete([Key("a/2.ts")])
    assert {path.name for path in root.iterdir()} == {MARKER, HIDDEN}
