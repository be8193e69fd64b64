"""The engine on memory and filesystem stores: what is proved, what is retried, what stops, how much memory it takes."""

import errno
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import count
from pathlib import Path

import pytest

from reelkeeper.errors import (
    AccessDenied,
    BucketNotFound,
    ObjectExists,
    ObjectNotFound,
    ReelkeeperError,
    SourceCorrupted,
    StoreFull,
    StoreUnavailable,
    TransferCorrupted,
)
from reelkeeper.model import Key, Sha256, StoreName
from reelkeeper.stores import disk
from reelkeeper.stores import transfer as transfer_module
from reelkeeper.stores.body import Body
from reelkeeper.stores.filesystem import FilesystemStore
from reelkeeper.stores.memory import MemoryStore
from reelkeeper.stores.protocols import WriteOptions
from reelkeeper.stores.retry import retrying
from reelkeeper.stores.transfer import STREAM_BYTES, Transfer, Transferred, transfer_all, verify_object

QUICK = retrying(first_wait_seconds=0.001)


class FaultyStore(MemoryStore):
    """A memory store that fails as told: `on_write` and `on_read` are called with the key, and may raise."""

    def __init__(self, name: str, *, attests: bool = True) -> None:
        super().__init__(StoreName(name))
        self.attests_writes = attests
        self.on_write: Callable[[Key], object] = lambda key: None
        self.on_read: Callable[[Key], object] = lambda key: None
        self.spoil: Callable[[bytes], bytes] = lambda data: data
        self.writes: list[Key] = []
        self.reads: list[Key] = []
        self.deleted: list[Key] = []

    def write(self, key: Key, body: Body, options: WriteOptions = WriteOptions()) -> None:
        self.writes.append(key)
        self.on_write(key)
        super().write(key, Body.of_bytes(self.spoil(body.whole())), options)

    def read(self, key: Key) -> Iterator[bytes]:
        self.reads.append(key)
        self.on_read(key)
        yield from super().read(key)

    def delete(self, keys: Sequence[Key]) -> Mapping[Key, Exception]:
        self.deleted += keys
        return super().delete(keys)


def raising(error: Exception, *, times: int = 10**9, only: Key | None = None) -> Callable[[Key], None]:
    """What raises `error` the first `times` times it is called (for the key `only`)."""
    calls = count()

    def fault(key: Key) -> None:
        if only in (None, key) and next(calls) < times:
            raise error

    return fault


def filled(store: MemoryStore, number: int, size: int = 100) -> list[Transfer[int]]:
    """`number` objects in the store, and the transfers of them."""
    transfers = []
    for index in range(number):
        data = index.to_bytes(4) * (size // 4)
        key = Key(f"media/{index:05}.mp4")
        MemoryStore.write(store, key, Body.of_bytes(data))
        digest = Sha256(sha256(data).hexdigest())
        transfers.append(Transfer(key, key, len(data), digest, WriteOptions(), index))
    return transfers


def run(
    source: MemoryStore, destination: MemoryStore, transfers: Sequence[Transfer[int]], **options: object
) -> list[Transferred[int]]:
    """All outcomes, in the order of the tokens."""
    outcomes = transfer_all(source, destination, transfers, retry=QUICK, **options)  # type: ignore[arg-type]
    return sorted(outcomes, key=lambda outcome: outcome.transfer.token)


def errors(outcomes: Sequence[Transferred[int]]) -> list[type[ReelkeeperError]]:
    return [type(outcome.error) for outcome in outcomes if outcome.error is not None]


@pytest.fixture
def source() -> FaultyStore:
    return FaultyStore("disk")


@pytest.fixture
def cloud() -> FaultyStore:
    return FaultyStore("cloud")


def test_every_object_arrives_once(source: FaultyStore, cloud: FaultyStore) -> None:
    transfers = filled(source, 300)
    outcomes = run(source, cloud, transfers)
    assert [outcome.transfer.token for outcome in outcomes] == list(range(300))
    assert all(o.error is None and o.attempts == 1 and o.started_at <= o.finished_at for o in outcomes)
    for transfer in transfers:
        verify_object(cloud, transfer.destination_key, transfer.size_bytes, transfer.sha256, attested=False)
    assert len(cloud.writes) == 300
    assert not cloud.deleted


def test_an_attesting_store_is_not_read_back_unless_asked(source: FaultyStore, cloud: FaultyStore) -> None:
    run(source, cloud, filled(source, 3))
    assert cloud.reads == []
    doubting = FaultyStore("cloud")
    run(source, doubting, filled(FaultyStore("unused"), 3), verify="read_back")
    assert len(doubting.reads) == 3


def test_a_store_that_attests_nothing_is_read_back(source: FaultyStore) -> None:
    plain = FaultyStore("plain", attests=False)
    assert errors(run(source, plain, filled(source, 3))) == []
    assert len(plain.reads) == 3


@pytest.mark.parametrize(
    "spoil",
    [lambda data: data[:-1], lambda data: bytes([data[0] ^ 1]) + data[1:], lambda data: data + b"x", lambda data: b""],
    ids=["truncated", "flipped", "longer", "empty"],
)
def test_what_the_destination_spoils_is_sent_again(source: FaultyStore, spoil: Callable[[bytes], bytes]) -> None:
    plain = FaultyStore("plain", attests=False)
    calls = count()
    plain.spoil = lambda data: spoil(data) if next(calls) < 2 else data
    (outcome,) = run(source, plain, filled(source, 1))
    assert (outcome.error, outcome.attempts) == (None, 3)


def test_what_stays_spoiled_is_not_left_there(source: FaultyStore) -> None:
    plain = FaultyStore("plain", attests=False)
    plain.spoil = lambda data: data[:-1]
    outcomes = run(source, plain, filled(source, 2))
    assert errors(outcomes) == [TransferCorrupted] * 2
    assert list(plain.list()) == []


def test_a_misread_is_no_reason_to_delete(source: FaultyStore) -> None:
    plain = FaultyStore("plain", attests=False)
    (transfer,) = filled(source, 1)
    calls = count()
    real = MemoryStore.read
    plain.read = lambda key: iter([b"noise"]) if next(calls) == 0 else real(plain, key)  # type: ignore[method-assign]
    assert errors(run(source, plain, [transfer])) == []
    assert plain.deleted == []


def test_an_equal_object_counts_and_another_one_stays(source: FaultyStore, cloud: FaultyStore) -> None:
    transfers = filled(source, 4)
    MemoryStore.write(
        cloud, transfers[0].destination_key, Body.of_bytes(b"".join(source.read(transfers[0].source_key)))
    )
    MemoryStore.write(cloud, transfers[1].destination_key, Body.of_bytes(b"x" * 100))  # as large, other bytes
    MemoryStore.write(cloud, transfers[2].destination_key, Body.of_bytes(b"x" * 50))  # truncated
    outcomes = run(source, cloud, transfers)
    assert [type(o.error) for o in outcomes] == [type(None), ObjectExists, ObjectExists, type(None)]
    assert [o.attempts for o in outcomes] == [1, 1, 1, 1]
    assert cloud.deleted == []
    assert b"".join(cloud.read(transfers[2].destination_key)) == b"x" * 50


@pytest.mark.parametrize("verify", ["auto", "read_back"])
def test_an_object_without_our_metadata_is_read(source: FaultyStore, verify: str) -> None:
    plain = FaultyStore("plain", attests=verify == "read_back")
    (transfer,) = filled(source, 1)
    MemoryStore.write(plain, transfer.destination_key, Body.of_bytes(b"".join(source.read(transfer.source_key))))
    assert errors(run(source, plain, [transfer], verify=verify)) == []
    assert plain.reads == [transfer.destination_key]


@pytest.mark.parametrize("change", [b"", b"other bytes", bytes(100), bytes(101)])
def test_a_source_that_is_not_as_catalogued_is_never_stored(
    source: FaultyStore, cloud: FaultyStore, change: bytes
) -> None:
    good, bad = filled(source, 2)
    source.delete([bad.source_key])
    MemoryStore.write(source, bad.source_key, Body.of_bytes(change))
    outcomes = run(source, cloud, [good, bad])
    assert errors(outcomes) == [SourceCorrupted]
    assert outcomes[1].attempts == 1
    with pytest.raises(ObjectNotFound):
        cloud.stat(bad.destination_key)


def test_a_source_that_is_gone_fails_alone(source: FaultyStore, cloud: FaultyStore) -> None:
    transfers = filled(source, 40)
    source.delete([t.source_key for t in transfers[::2]])
    outcomes = run(source, cloud, transfers)
    assert errors(outcomes) == [ObjectNotFound] * 20  # many of them, and still no store is dropped
    assert sum(o.error is None for o in outcomes) == 20


@pytest.mark.parametrize("error", [StoreUnavailable("503"), TransferCorrupted("bad digest")])
def test_three_tries_on_what_may_pass(source: FaultyStore, cloud: FaultyStore, error: ReelkeeperError) -> None:
    (transfer,) = filled(source, 1)
    cloud.on_write = raising(error, times=2)
    (outcome,) = run(source, cloud, [transfer])
    assert (outcome.error, outcome.attempts) == (None, 3)
    other = FaultyStore("other")
    other.on_write = raising(error, times=3)
    (outcome,) = run(source, other, [transfer])
    assert (outcome.error, outcome.attempts) == (error, 3)


def test_a_source_that_reads_badly_for_a_moment(source: FaultyStore, cloud: FaultyStore) -> None:
    transfers = filled(source, 10)
    source.on_read = raising(StoreUnavailable("input/output error"), times=2)
    assert errors(run(source, cloud, transfers)) == []


def test_a_sick_store_is_dropped_and_costs_no_further_requests(source: FaultyStore, cloud: FaultyStore) -> None:
    cloud.on_write = raising(StoreUnavailable("503"))
    outcomes = run(source, cloud, filled(source, 1000), concurrency=4)
    assert errors(outcomes) == [StoreUnavailable] * 1000
    untried = [o for o in outcomes if o.attempts == 0]
    assert len(untried) > 980
    assert "dropped for this batch" in str(untried[0].error)
    assert "503" in str(untried[0].error)
    assert len(cloud.writes) <= 3 * (5 + 4)


def test_a_sick_source_is_dropped_too(source: FaultyStore, cloud: FaultyStore) -> None:
    source.on_read = raising(StoreUnavailable("stale file handle"))
    outcomes = run(source, cloud, filled(source, 200), concurrency=4)
    assert errors(outcomes) == [StoreUnavailable] * 200
    assert "'disk'" in str(outcomes[-1].error)
    assert len(source.reads) <= 3 * (5 + 4)


def test_failures_with_successes_between_drop_nothing(source: FaultyStore, cloud: FaultyStore) -> None:
    transfers = filled(source, 100)
    bad = {t.destination_key for t in transfers[::3]}

    def fault(key: Key) -> None:
        if key in bad:
            raise StoreUnavailable("503")

    cloud.on_write = fault
    outcomes = run(source, cloud, transfers, concurrency=1)
    assert {o.transfer.destination_key for o in outcomes if o.error} == bad
    assert all(o.attempts for o in outcomes)


@pytest.mark.parametrize("error", [BucketNotFound("no bucket"), StoreFull("no space left on device")])
def test_what_holds_for_the_whole_store_is_met_once(
    source: FaultyStore, cloud: FaultyStore, error: ReelkeeperError
) -> None:
    cloud.on_write = raising(error)
    outcomes = run(source, cloud, filled(source, 100), concurrency=2)
    assert errors(outcomes) == [type(error)] * 100
    assert len(cloud.writes) <= 2


def test_refused_credentials_drop_the_store_after_some_objects(source: FaultyStore, cloud: FaultyStore) -> None:
    cloud.on_write = raising(AccessDenied("forbidden"))
    outcomes = run(source, cloud, filled(source, 100), concurrency=2)
    assert errors(outcomes) == [AccessDenied] * 100
    assert len(cloud.writes) <= 5 + 2


def test_a_bug_is_raised(source: FaultyStore, cloud: FaultyStore) -> None:
    cloud.on_write = raising(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        run(source, cloud, filled(source, 20))


def test_transfers_are_pulled_as_needed_in_the_callers_thread(source: FaultyStore, cloud: FaultyStore) -> None:
    transfers = filled(source, 500)
    pulled: list[int] = []
    threads: set[int] = set()

    def pull() -> Iterator[Transfer[int]]:
        for transfer in transfers:
            pulled.append(transfer.token)
            threads.add(threading.get_ident())
            yield transfer

    outcomes = transfer_all(source, cloud, pull(), concurrency=2)
    next(outcomes)
    assert len(pulled) <= 2 * 64 + 1
    outcomes.close()
    assert threads == {threading.get_ident()}
    assert len(cloud.writes) < 500
    assert not [t for t in threading.enumerate() if t.name.startswith("transfer")]


def test_memory_is_bounded_by_bytes(source: FaultyStore, cloud: FaultyStore) -> None:
    lock, now, most = threading.Lock(), [0], [0]

    class Measuring(MemoryStore):
        def write(self, key: Key, body: Body, options: WriteOptions = WriteOptions()) -> None:
            with lock:
                now[0] += body.size_bytes
                most[0] = max(most[0], now[0])
            threading.Event().wait(0.005)
            super().write(key, body, options)
            with lock:
                now[0] -= body.size_bytes

    outcomes = run(source, Measuring(StoreName("cloud")), filled(source, 60, size=1000), memory_bytes=3500)
    assert errors(outcomes) == []
    assert 2000 <= most[0] <= 3500


def test_few_large_transfers_are_pulled_ahead(
    source: FaultyStore, cloud: FaultyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer_module, "_QUEUED_BYTES", 8000)
    pulled: list[int] = []
    transfers = filled(source, 100, size=1000)
    outcomes = transfer_all(source, cloud, (pulled.append(t.token) or t for t in transfers), concurrency=2)
    next(outcomes)
    assert len(pulled) <= 8 + 2 + 1
    outcomes.close()


def test_small_objects_pass_while_large_ones_fill_the_memory(source: FaultyStore, cloud: FaultyStore) -> None:
    large = filled(source, 8, size=2000)
    small = Transfer(*_put(source, Key("media/small.mp4"), b"x" * 100), WriteOptions(), 99)
    passed = threading.Event()

    def slow(key: Key) -> None:
        if key == small.destination_key:
            passed.set()
        else:
            assert passed.wait(10), "the small object did not pass"

    cloud.on_write = slow
    assert errors(run(source, cloud, [*large, small], memory_bytes=4800, concurrency=9)) == []


def _put(store: MemoryStore, key: Key, data: bytes) -> tuple[Key, Key, int, Sha256]:
    body = Body.of_bytes(data)
    MemoryStore.write(store, key, body)
    return key, key, body.size_bytes, body.sha256


def test_an_object_larger_than_all_memory_still_goes(source: FaultyStore, cloud: FaultyStore) -> None:
    assert errors(run(source, cloud, filled(source, 3, size=10_000), memory_bytes=100)) == []
    assert STREAM_BYTES <= 64 * 2**20


def test_progress_is_told_while_an_object_takes_long(source: FaultyStore, cloud: FaultyStore) -> None:
    told = threading.Event()
    cloud.on_write = lambda key: told.wait(10)
    seen: list[tuple[int, int]] = []

    def progress(read: int) -> None:
        seen.append((read, threading.get_ident()))
        told.set()

    assert errors(run(source, cloud, filled(source, 1), progress=progress)) == []
    assert told.is_set()
    assert {thread for _, thread in seen} == {threading.get_ident()}


def test_an_exception_of_progress_ends_the_transfer(source: FaultyStore, cloud: FaultyStore) -> None:
    cloud.on_write = lambda key: threading.Event().wait(0.05)

    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(source, cloud, filled(source, 500), concurrency=1, progress=stop)
    assert len(cloud.writes) < 100


def test_between_folders_with_a_changed_file(tmp_path: Path) -> None:
    stores = [FilesystemStore(StoreName(name), tmp_path / name) for name in ("a", "b")]
    transfers = []
    for store in stores:
        list(store.set_up())
    for index in range(30):
        data = bytes([index]) * 70_000
        key = Key(f"media/{index}.ts")
        stores[0].write(key, Body.of_bytes(data))
        digest = Sha256(sha256(data).hexdigest())
        transfers.append(Transfer(key, key, len(data), digest, WriteOptions(), index))
    (tmp_path / "a/media/7.ts").write_bytes(b"\x07" * 69_999)
    outcomes = list(transfer_all(stores[0], stores[1], transfers, retry=QUICK))
    assert [(o.transfer.token, type(o.error)) for o in outcomes if o.error] == [(7, SourceCorrupted)]
    assert not (tmp_path / "b/media/7.ts").exists()
    for transfer in transfers[:7] + transfers[8:]:
        verify_object(stores[1], transfer.destination_key, 70_000, transfer.sha256, attested=False)
    again = list(transfer_all(stores[0], stores[1], transfers[:7], retry=QUICK))
    assert all(outcome.error is None for outcome in again)


@pytest.mark.parametrize(("number", "expected"), [(errno.ENOSPC, StoreFull), (errno.EIO, StoreUnavailable)])
def test_a_disk_that_is_full_or_broken_leaves_nothing_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, expected: type[ReelkeeperError]
) -> None:
    disks = [FilesystemStore(StoreName(name), tmp_path / name) for name in ("a", "b")]
    for store in disks:
        list(store.set_up())
    key, other, size, digest = _put_on_disk(disks[0], Key("media/1.ts"), bytes(100_000))
    transfer = Transfer(key, other, size, digest, WriteOptions(), 1)
    write_all = disk.write_all

    def fails_half_way(descriptor: int, data: bytes) -> None:
        write_all(descriptor, data[: len(data) // 2])
        raise OSError(number, "injected")

    monkeypatch.setattr(disk, "write_all", fails_half_way)
    (outcome,) = transfer_all(disks[0], disks[1], [transfer], retry=QUICK)
    assert (type(outcome.error), outcome.attempts) == (expected, 1 if expected is StoreFull else 3)
    assert list(disks[1].list()) == []
    verify_object(disks[0], key, size, digest, attested=False)
    monkeypatch.undo()
    (again,) = transfer_all(disks[0], disks[1], [transfer], retry=QUICK)
    assert again.error is None


def _put_on_disk(store: FilesystemStore, key: Key, data: bytes) -> tuple[Key, Key, int, Sha256]:
    body = Body.of_bytes(data)
    store.write(key, body)
    return key, key, body.size_bytes, body.sha256
