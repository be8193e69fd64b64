"""What every store does, whatever it is made of: one suite over all backends, on real servers.

It also runs against outside endpoints that the environment names. Each needs a bucket of its own, which is made if it
is missing, and whose lifecycle and CORS rules are changed; objects are made under `conformance/` and `temp/` only, and
are deleted.

    REELKEEPER_TEST_S3_BUCKET, _ENDPOINT (empty: AWS), _ACCESS_KEY, _SECRET_KEY, _REGION (us-east-1)
    REELKEEPER_TEST_MINIO_BUCKET, _ENDPOINT (http://… or https://…), _ACCESS_KEY, _SECRET_KEY, _REGION (us-east-1)
    REELKEEPER_TEST_GCS_BUCKET, _KEY_FILE (a service account's JSON key)
"""

import unicodedata
import urllib.request
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from uuid import uuid4

import pytest

from reelkeeper.errors import (
    InvalidKey,
    ObjectExists,
    ObjectNotFound,
    SourceCorrupted,
    StillGrowing,
    StoreNotOurs,
    StoreUnavailable,
)
from reelkeeper.model import Key, Sha256, StoreKind
from reelkeeper.stores.body import Body
from reelkeeper.stores.owner import MARKER_KEY
from reelkeeper.stores.protocols import (
    Copies,
    Deletes,
    Folders,
    Links,
    Lists,
    Owned,
    Owner,
    Reads,
    Restores,
    SetsUp,
    Signs,
    Stats,
    TellsTime,
    Tiers,
    Uploads,
    Versions,
    WriteOptions,
    Writes,
)
from tests.stores.rigs import ORIGIN, Rig

MIB = 2**20
LARGE = 20 * MIB + 3
"""Goes in parts, and the last part is short."""


def pattern(size: int) -> bytes:
    """Bytes in which no two blocks are alike."""
    line = b"".join(number.to_bytes(4) for number in range(min(size, 64 * 1024) // 4 + 1))
    return (line * (size // len(line) + 1))[:size]


def read(rig: Rig, name: str) -> bytes:
    return b"".join(rig.store.read(rig.key(name)))


def write(rig: Rig, *names: str, data: bytes = b"footage") -> None:
    for name in names:
        rig.store.write(rig.key(name), Body.of_bytes(data))


class TestRoundTrip:
    @pytest.mark.parametrize("size", [0, 1, 64 * 1024, 8 * MIB, 8 * MIB + 1, LARGE])
    def test_bytes_come_back(self, rig: Rig, size: int) -> None:
        data = pattern(size)
        write(rig, "a.ts", data=data)
        assert read(rig, "a.ts") == data
        stat = rig.store.stat(rig.key("a.ts"))
        assert (stat.key, stat.size_bytes) == (rig.key("a.ts"), size)

    def test_chunks_are_bytes_of_a_few_mib(self, rig: Rig) -> None:
        write(rig, "a.ts", data=pattern(LARGE))
        chunks = list(rig.store.read(rig.key("a.ts")))
        assert {type(chunk) for chunk in chunks} == {bytes}
        assert max(map(len, chunks)) <= 16 * MIB

    def test_a_reader_may_stop_half_way(self, rig: Rig) -> None:
        write(rig, "a.ts", data=pattern(LARGE))
        chunks = rig.store.read(rig.key("a.ts"))
        first = next(chunks)
        assert first == pattern(LARGE)[: len(first)]
        chunks.close()
        assert read(rig, "a.ts") == pattern(LARGE)

    def test_ranges(self, rig: Rig) -> None:
        write(rig, "a.ts", data=b"0123456789")
        ranges = [(0, 10), (3, 4), (8, 10), (9, 1), (10, 5), (50, 1), (2, 0)]
        got = [rig.store.read_range(rig.key("a.ts"), offset, length) for offset, length in ranges]
        assert got == [b"0123456789", b"3456", b"89", b"9", b"", b"", b""]

    def test_last_modified_is_now_and_aware(self, rig: Rig) -> None:
        write(rig, "a.ts")
        age = datetime.now(UTC) - rig.store.stat(rig.key("a.ts")).last_modified
        assert abs(age) < timedelta(minutes=5)

    def test_our_sha256_comes_from_metadata_or_not_at_all(self, rig: Rig) -> None:
        """An ETag is never a checksum: there is no field for one."""
        data = pattern(9 * MIB)
        write(rig, "a.ts", data=data)
        expected = None if rig.store.kind is StoreKind.FILESYSTEM else sha256(data).hexdigest()
        assert rig.store.stat(rig.key("a.ts")).sha256 == expected

    def test_what_is_not_there(self, rig: Rig) -> None:
        write(rig, "folder/a.ts")
        for name in ("b.ts", "folder", "folder/a.ts/b.ts", "folder/a.t"):
            with pytest.raises(ObjectNotFound):
                rig.store.stat(rig.key(name))
            with pytest.raises(ObjectNotFound):
                next(rig.store.read(rig.key(name)))
            with pytest.raises(ObjectNotFound):
                rig.store.read_range(rig.key(name), 0, 1)


class TestNeverOverwrites:
    @pytest.mark.parametrize("size", [7, 9 * MIB])
    def test_second_write_is_refused(self, rig: Rig, size: int) -> None:
        write(rig, "a.ts", data=pattern(size))
        for data in (pattern(size), b"other", pattern(10 * MIB)):
            with pytest.raises(ObjectExists):
                write(rig, "a.ts", data=data)
        assert read(rig, "a.ts") == pattern(size)

    def test_one_of_many_writers_wins(self, rig: Rig) -> None:
        if not rig.refuses_to_overwrite:
            pytest.skip("this emulator does not tell racing writers apart")

        def attempt(number: int) -> bool:
            try:
                write(rig, "a.ts", data=b"%d" % number)
            except ObjectExists:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            won = list(pool.map(attempt, range(16)))
        assert won.count(True) == 1
        assert read(rig, "a.ts") == b"%d" % won.index(True)

    def test_copy_refuses_too(self, rig: Rig) -> None:
        write(rig, "a.ts", data=b"one")
        write(rig, "b.ts", data=b"two")
        with pytest.raises(ObjectExists):
            rig.store.copy(rig.key("a.ts"), rig.key("b.ts"))
        assert read(rig, "b.ts") == b"two"


class TestBodiesThatFail:
    @pytest.mark.parametrize("size", [100, LARGE])
    @pytest.mark.parametrize("lie", ["truncated", "longer", "changed"])
    def test_wrong_bytes_never_appear(self, rig: Rig, size: int, lie: str) -> None:
        right = pattern(size)
        wrong = {"truncated": right[:-1], "longer": right + b"x", "changed": right[:-1] + b"x"}[lie]
        body = Body(size, Sha256(sha256(right).hexdigest()), lambda: blocks(wrong))
        with pytest.raises(SourceCorrupted):
            rig.store.write(rig.key("a.ts"), body)
        assert rig.keys() == []
        write(rig, "a.ts", data=right)  # nothing is in the way

    @pytest.mark.parametrize("size", [100, LARGE])
    @pytest.mark.parametrize(
        "error", [StillGrowing("it grew"), ValueError("a bug"), OSError(5, "disk"), FileNotFoundError()]
    )
    def test_the_bodys_error_comes_out_as_it_is(self, rig: Rig, size: int, error: Exception) -> None:
        def broken() -> Iterable[bytes]:
            yield from blocks(pattern(size - 10))
            raise error

        with pytest.raises(type(error)) as caught:
            rig.store.write(rig.key("a.ts"), Body(size, Sha256("0" * 64), broken))
        assert caught.value is error
        assert rig.keys() == []


class TestKeys:
    @pytest.mark.parametrize(
        "key",
        ["/a", "a/", "a//b", "a/../b", "./a", "..", "", "a\\b", "a\nb", "a\x00b", "e\u0301.ts", "\ud800", "x" * 1025],
    )
    def test_what_is_not_canonical_is_refused_everywhere(self, rig: Rig, key: Key) -> None:
        store = rig.store
        attempts = [
            lambda: store.stat(key),
            lambda: next(store.read(key)),
            lambda: store.read_range(key, 0, 1),
            lambda: store.write(key, Body.of_bytes(b"")),
            lambda: store.copy(key, rig.key("a")),
            lambda: store.copy(rig.key("a"), key),
        ]
        for attempt in attempts:
            with pytest.raises(InvalidKey):
                attempt()
        [(failed, why)] = store.delete([key]).items()
        assert failed == key
        assert isinstance(why, InvalidKey)

    def test_odd_keys_keep_their_spelling(self, rig: Rig) -> None:
        names = [
            "sp ace.ts", "per%20cent.ts", "plus+and&=.ts", "q?x#y.ts", "a*b|c.ts", "[x]~{y}^`.ts", "quote'\".ts",
            "<&>.ts", unicodedata.normalize("NFC", "é/日本/🎥.ts"), ".hidden", "a.b..c", "x:y@z;,!$().ts",
            "UPPER/lower.TS",
        ]  # fmt: skip
        write(rig, *names)
        assert rig.keys() == sorted(names)
        assert [read(rig, name) for name in names] == [b"footage"] * len(names)
        assert rig.store.delete([rig.key(name) for name in names]) == {}
        assert rig.keys() == []

    def test_case_makes_another_object(self, rig: Rig) -> None:
        """A file system that folds case refuses instead: see test_filesystem.py."""
        write(rig, "a.ts", data=b"lower")
        try:
            write(rig, "A.ts", data=b"upper")
        except InvalidKey:
            assert rig.keys() == ["a.ts"]
        else:
            assert (rig.keys(), read(rig, "a.ts"), read(rig, "A.ts")) == (["A.ts", "a.ts"], b"lower", b"upper")


class TestListing:
    def test_prefixes_are_bytes_not_folders(self, rig: Rig) -> None:
        write(rig, "a/1.ts", "a/b/2.ts", "a-b/3.ts", "ab.ts", "b.ts")
        assert rig.keys() == ["a-b/3.ts", "a/1.ts", "a/b/2.ts", "ab.ts", "b.ts"]
        assert rig.keys("a") == ["a-b/3.ts", "a/1.ts", "a/b/2.ts", "ab.ts"]
        assert rig.keys("a/") == ["a/1.ts", "a/b/2.ts"]
        assert rig.keys("a/b") == ["a/b/2.ts"]
        assert rig.keys("a/b/2.ts") == ["a/b/2.ts"]
        assert rig.keys("c") == rig.keys("a/b/2.tsx") == rig.keys("a/c/") == []

    def test_listed_facts_are_those_of_stat(self, rig: Rig) -> None:
        write(rig, "a.ts", data=pattern(123))
        [listed] = rig.store.list(rig.key("a.ts"))
        stat = rig.store.stat(rig.key("a.ts"))
        assert (listed.key, listed.size_bytes, listed.storage_class) == (stat.key, 123, stat.storage_class)
        assert abs(listed.last_modified - stat.last_modified) < timedelta(seconds=1)

    def test_exact_at_the_edges_of_a_page(self, rig: Rig) -> None:
        """Sizes n·k−1, n·k, n·k+1; test_paging.py does it for the client whose page is a thousand."""
        page = rig.page_size or 5
        names = [f"{number:02}.ts" for number in range(2 * page + 1)]
        for count in (0, 1, page - 1, page, page + 1, 2 * page - 1, 2 * page, 2 * page + 1):
            listed = rig.keys()
            write(rig, *(name for name in names[:count] if name not in listed))
            assert rig.keys() == names[:count]


class TestDeleting:
    def test_in_bulk_and_again(self, rig: Rig) -> None:
        write(rig, "a/1.ts", "a/2.ts", "b/3.ts")
        some = [rig.key("a/1.ts"), rig.key("a/2.ts"), rig.key("never-there.ts")]
        assert rig.store.delete(some) == {}
        assert rig.keys() == ["b/3.ts"]
        assert rig.store.delete(some) == {}
        assert rig.store.delete([]) == {}

    def test_failures_are_told_per_key(self, rig: Rig) -> None:
        write(rig, "a.ts")
        failed = rig.store.delete([Key("../a.ts"), rig.key("a.ts")])
        assert list(failed) == ["../a.ts"]
        assert rig.keys() == []

    def test_a_deleted_key_is_free_again(self, rig: Rig) -> None:
        for data in (b"one", b"two"):
            write(rig, "a/b/c.ts", data=data)
            assert read(rig, "a/b/c.ts") == data
            rig.store.delete([rig.key("a/b/c.ts")])


class TestTime:
    def test_the_clock_is_the_one_that_stamps_objects(self, rig: Rig) -> None:
        write(rig, "a.ts")
        clock = rig.store.clock()
        assert clock.utcoffset() == timedelta(0)
        assert abs(clock - rig.store.stat(rig.key("a.ts")).last_modified) < timedelta(seconds=10)


class TestCopying:
    def test_bytes_and_checksum_come_along(self, rig: Rig) -> None:
        data = pattern(9 * MIB)
        write(rig, "a.ts", data=data)
        rig.store.copy(rig.key("a.ts"), rig.key("quarantine/a.ts"))
        assert read(rig, "quarantine/a.ts") == data
        assert rig.store.stat(rig.key("quarantine/a.ts")).sha256 == rig.store.stat(rig.key("a.ts")).sha256
        rig.store.delete([rig.key("a.ts")])
        assert read(rig, "quarantine/a.ts") == data

    def test_a_copy_is_in_the_standard_class(self, rig: Rig) -> None:
        if not isinstance(rig.store, Tiers):
            pytest.skip("this store has no storage classes")
        write(rig, "a.ts")
        standard = rig.store.stat(rig.key("a.ts")).storage_class
        cool = "NEARLINE" if rig.store.kind is StoreKind.GCS else "STANDARD_IA"
        rig.store.set_class(rig.key("a.ts"), cool)
        rig.store.copy(rig.key("a.ts"), rig.key("b.ts"))
        assert rig.store.stat(rig.key("a.ts")).storage_class == cool
        assert rig.store.stat(rig.key("b.ts")).storage_class == standard == "STANDARD"

    def test_source_must_be_there(self, rig: Rig) -> None:
        with pytest.raises(ObjectNotFound):
            rig.store.copy(rig.key("a.ts"), rig.key("b.ts"))
        assert rig.keys() == []


class TestOwner:
    """Two catalogues on one bucket would take each other's footage for orphans: the marker tells whose it is."""

    def test_only_its_owner_sets_it_up(self, rig: Rig) -> None:
        ours, theirs = (Owner(rig.store.name, uuid4(), f"db.{name}") for name in ("ours", "theirs"))
        list(rig.store.set_up(ours, take_over=True))
        assert rig.store.owner() == ours
        assert not any(change.changed for change in rig.store.set_up(replace(ours, database="moved")))
        for other in (theirs, replace(ours, store="other"), replace(theirs, store="other")):
            with pytest.raises(StoreNotOurs, match=f"{ours.catalogue}.*{other.store}.*{other.catalogue}"):
                list(rig.store.set_up(other))
        assert rig.store.owner() == ours
        [change] = [change for change in rig.store.set_up(theirs, take_over=True) if change.changed]
        assert f"which was {ours}" in change.what
        assert rig.store.owner() == theirs

    def test_the_marker_is_no_object(self, rig: Rig) -> None:
        list(rig.store.set_up(Owner(rig.store.name, uuid4()), take_over=True))
        write(rig, "reelkeeper/store.json")
        assert rig.keys() == ["reelkeeper/store.json"]
        assert [stat.key for stat in rig.store.list() if not stat.key.startswith(rig.prefix)] == []
        assert list(rig.store.list("reelkeeper/")) == []
        with pytest.raises(InvalidKey, match="marker"):
            rig.store.delete([rig.key("reelkeeper/store.json"), MARKER_KEY])
        assert rig.keys() == ["reelkeeper/store.json"]

    def test_a_damaged_marker_is_unknown(self, rig: Rig) -> None:
        if not hasattr(rig.store, "_write_marker"):
            pytest.skip("its marker is no object")
        ours = Owner(rig.store.name, uuid4())
        for damage in (b"", b"{}", b"[]", b'{"store": 1}', b'{"store": "conformed", "catalogue": "x"}', b"\xff"):
            rig.store._write_marker(damage)
            for way in (rig.store.owner, lambda: rig.store.set_up(ours)):
                with pytest.raises(StoreUnavailable, match="marker"):
                    way()
        list(rig.store.set_up(ours, take_over=True))
        assert rig.store.owner() == ours


class TestSetUp:
    def test_a_second_time_changes_nothing(self, rig: Rig) -> None:
        assert [change.what for change in rig.store.set_up() if change.changed] == []

    def test_check_is_content_and_leaves_nothing(self, rig: Rig) -> None:
        assert [finding for finding in rig.store.check() if not finding.ok] == []
        assert list(rig.store.list("temp/")) == []

    def test_attests_writes_was_found_out_and_leaves_nothing(self, rig: Rig) -> None:
        if rig.attests_writes is not None:
            assert rig.store.attests_writes is rig.attests_writes
        assert rig.store.attests_writes is rig.store.attests_writes
        assert list(rig.store.list("temp/")) == []

    def test_protocols(self, rig: Rig) -> None:
        assert rig.store.name == "conformed"
        for protocol in (Stats, Lists, Reads, Writes, Deletes, Copies, Owned, SetsUp):
            assert isinstance(rig.store, protocol)
        has_classes = rig.store.kind in (StoreKind.S3, StoreKind.GCS, StoreKind.MEMORY)
        assert isinstance(rig.store, TellsTime)
        is_bucket = rig.store.kind in (StoreKind.S3, StoreKind.MINIO, StoreKind.GCS)
        assert isinstance(rig.store, Versions) is is_bucket
        assert not (is_bucket and rig.store.keeps_versions())
        assert isinstance(rig.store, Tiers) is has_classes
        assert isinstance(rig.store, Restores) is (rig.store.kind in (StoreKind.S3, StoreKind.MEMORY))
        assert isinstance(rig.store, Uploads) is (rig.store.kind not in (StoreKind.GCS, StoreKind.MEMORY))
        assert isinstance(rig.store, Folders) is (rig.store.kind is StoreKind.FILESYSTEM)
        is_local = rig.store.kind in (StoreKind.MEMORY, StoreKind.FILESYSTEM)
        assert isinstance(rig.store, Signs) is not is_local
        assert isinstance(rig.store, Links) is (rig.store.kind is StoreKind.FILESYSTEM)


class TestSigning:
    def test_a_url_gives_the_object_with_its_headers(self, rig: Rig) -> None:
        if not rig.signs:
            pytest.skip("this store signs no URLs here")
        options = WriteOptions(content_type="video/mp2t", cache_control="private, max-age=60")
        rig.store.write(rig.key("a b.ts"), Body.of_bytes(b"footage"), options)
        url = rig.store.presign(rig.key("a b.ts"), expires_in=timedelta(minutes=5)).url
        request = urllib.request.Request(url, headers={"Origin": ORIGIN, "Range": "bytes=0-3"})  # noqa: S310
        with urllib.request.urlopen(request) as answer:  # noqa: S310 - a URL that we made
            assert answer.read() == b"foot"
            assert answer.headers["Content-Type"] == "video/mp2t"
            assert answer.headers["Cache-Control"] == "private, max-age=60"

    def test_a_url_names_the_file_to_save(self, rig: Rig) -> None:
        if not rig.signs:
            pytest.skip("this store signs no URLs here")
        write(rig, "a.ts")
        made = rig.store.presign(rig.key("a.ts"), expires_in=timedelta(days=30), filename='gate "é".ts')
        assert timedelta(days=6, hours=23) < made.expires_at - datetime.now(UTC) <= timedelta(days=7)
        assert made.url not in repr(made)
        with urllib.request.urlopen(made.url) as answer:  # noqa: S310 - a URL that we made
            assert answer.headers["Content-Disposition"] == "attachment; filename*=UTF-8''gate%20%22%C3%A9%22.ts"

    def test_a_url_takes_an_object(self, rig: Rig) -> None:
        if not rig.signs:
            pytest.skip("this store signs no URLs here")
        url = rig.store.presign(rig.key("a.ts"), method="PUT", expires_in=timedelta(minutes=5)).url
        headers = {"Content-Type": "video/mp2t"}
        urllib.request.urlopen(urllib.request.Request(url, b"footage", headers, method="PUT")).close()  # noqa: S310
        assert read(rig, "a.ts") == b"footage"


def test_many_threads_share_a_store(rig: Rig) -> None:
    def there_and_back(number: int) -> bool:
        data = b"%d" % number * 1000
        write(rig, f"{number % 4}/{number}.ts", data=data)
        return (
            read(rig, f"{number % 4}/{number}.ts") == data
            and rig.store.delete([rig.key(f"{number % 4}/{number}.ts")]) == {}
        )

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(there_and_back, range(64)))
    assert rig.keys() == []


def blocks(data: bytes, size: int = 4 * MIB) -> Iterable[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))
