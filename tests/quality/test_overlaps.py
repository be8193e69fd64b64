"""Segments that overlap, by the query of the catalogue and by looking at each pair."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import permutations
from typing import Any
from uuid import UUID

import psycopg2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg2.extras import RealDictCursor, execute_values

from reelkeeper.model import TimeRange
from reelkeeper.policy.quality import Name, Suite
from reelkeeper.quality.statements import Demanded, of_days, of_ingest
from tests.quality.conftest import EXPORT, NOW, World, at

DAY = 86_400
TOLERANCE = 2.0
"""Seconds, by `quality.overlap_seconds` as it is unless set."""
INSERT_SEGMENTS = """
INSERT INTO segments (id, camera_id, start_time, end_time, size_bytes, checksum, extension, container, video_codec,
                      width, height, has_audio, rollout_bucket, storage_backend, storage_path) VALUES %s"""
INSERT_FILES = """
INSERT INTO landing_files (zone, path, size_bytes, modified_at, state, batch_id, segment_id, start_time) VALUES %s"""


@dataclass(frozen=True)
class Shot:
    """A segment; times in seconds since 7 March."""

    camera: int
    start: int
    seconds: float
    is_new: bool  # a run of ingest has just taken it in

    @property
    def end(self) -> float:
        return self.start + self.seconds

    @property
    def id(self) -> str:
        return str(UUID(int=self.camera * 10**9 + self.start))


def shared(one: Shot, other: Shot) -> float:
    """For how many seconds both of a camera recorded."""
    return min(one.end, other.end) - max(one.start, other.start) if one.camera == other.camera else 0


def of_pairs(shots: list[Shot], *, ahead: bool) -> dict[str, float]:
    """The longest time that each segment shares with one that began earlier, or with any, by looking at all pairs."""
    found: dict[str, float] = {}
    for one, other in permutations(shots, 2):
        if shared(one, other) > TOLERANCE and (ahead or other.start < one.start):
            found[one.id] = max(found.get(one.id, 0), shared(one, other))
    return found


STARTS = st.one_of(st.integers(0, 60), st.integers(DAY - 60, DAY + 60), st.integers(0, 2 * DAY - 1))
SECONDS = st.one_of(st.floats(0.5, 5).map(lambda value: round(value, 1)), st.integers(6, 4000), st.just(DAY))
SHOTS = st.lists(
    st.builds(Shot, st.integers(0, 1), STARTS, SECONDS, st.booleans()),
    max_size=14, unique_by=lambda shot: (shot.camera, shot.start),
)  # fmt: skip


@pytest.fixture(scope="module")
def empty(unguarded: World) -> Iterator[psycopg2.extensions.connection]:
    """A connection that sees no segment, and keeps nothing."""
    options = "-c search_path=reelkeeper -c TimeZone=UTC -c session_replication_role=replica"  # no triggers
    with closing(psycopg2.connect(unguarded.dsn, options=options, cursor_factory=RealDictCursor)) as connection:
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM segments; DELETE FROM landing_files")
            cursor.execute("INSERT INTO batches (id, job, run_id, zone, number, item_count, size_bytes) "
                           "VALUES (%s, 'ingest', 'new', 'zone', 0, 1, 1)", (EXPORT,))  # fmt: skip
        yield connection
        connection.rollback()


def wrong(connection: Any, world: World, shots: list[Shot], demanded: list[Demanded]) -> dict[str, Mapping[str, Any]]:
    """What the catalogue says of these segments, by the segment's id."""
    cameras = [str(camera.id) for camera in world.cameras.values()]
    rows = [(shot.id, cameras[shot.camera], at(7) + timedelta(seconds=shot.start), at(7) + timedelta(seconds=shot.end),
             9, "5" * 64, "mp4", "mov", "h264", 1, 1, False, 1, "local", "x") for shot in shots]  # fmt: skip
    files = [("zone", shot.id, 9, NOW, "ingested", EXPORT, shot.id, at(7) + timedelta(seconds=shot.start))
             for shot in shots if shot.is_new]  # fmt: skip
    (one,) = [each for each in demanded if each.expectation.name is Name.SEGMENT_OVERLAPS]
    (part,) = one.parts
    with connection.cursor() as cursor:
        cursor.execute("SAVEPOINT before")
        for statement, values in ((INSERT_SEGMENTS, rows), (INSERT_FILES, files)):
            if values:
                execute_values(cursor, statement, values)
        cursor.execute(part.statement)
        found = cursor.fetchall()
        cursor.execute("ROLLBACK TO SAVEPOINT before")
    assert len({row["segment_id"] for row in found}) == len(found)  # each once, or shares of them would be wrong
    return {row["segment_id"]: row for row in found}


def seconds_of(found: dict[str, Mapping[str, Any]]) -> dict[str, float]:
    return {name: float(row["overlap_seconds"]) for name, row in found.items()}


def days(world: World, first: datetime, last: datetime) -> list[Demanded]:
    return of_days(world.estate, world.catalogue, [Suite.SEGMENTS], [TimeRange(first, last)], now=NOW)


def new(world: World, shots: list[Shot]) -> list[Demanded]:
    starts = [at(7) + timedelta(seconds=shot.start) for shot in shots if shot.is_new]
    time_range = TimeRange(min(starts), max(starts) + timedelta.resolution)
    return of_ingest(world.estate, world.catalogue, "new", time_range, now=NOW)


def hidden(*, is_new: tuple[bool, bool, bool]) -> list[Shot]:
    """A long one, a short one in it, and one that the short one hides from a look at the one right before."""
    return [Shot(0, 0, 3600, is_new[0]), Shot(0, 10, 1.5, is_new[1]), Shot(0, 20, 3580, is_new[2])]


def test_one_behind_a_short_one_is_found(empty: Any, unguarded: World) -> None:
    shots = hidden(is_new=(False, False, True))
    for demanded in (days(unguarded, at(7), at(8)), new(unguarded, shots)):
        (row,) = wrong(empty, unguarded, shots, demanded).values()
        assert (row["segment_id"], row["overlaps_segment_id"]) == (shots[2].id, shots[0].id)
        assert (row["overlaps_start_time"], float(row["overlap_seconds"])) == (at(7), 3580)
    shots = hidden(is_new=(True, False, False))
    (row,) = wrong(empty, unguarded, shots, new(unguarded, shots)).values()
    assert (row["segment_id"], row["overlaps_segment_id"]) == (shots[0].id, shots[2].id)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shots=SHOTS)
def test_a_check_of_days_finds_what_looking_at_each_pair_finds(empty: Any, unguarded: World, shots: list[Shot]) -> None:
    expected = of_pairs(shots, ahead=False)
    assert seconds_of(wrong(empty, unguarded, shots, days(unguarded, at(7), at(9)))) == pytest.approx(expected)
    second = {shot.id for shot in shots if shot.start >= DAY + 30}  # what began before is read, and not told of
    found = wrong(empty, unguarded, shots, days(unguarded, at(8) + timedelta(seconds=30), at(9)))
    assert seconds_of(found) == pytest.approx({name: share for name, share in expected.items() if name in second})


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shots=SHOTS.filter(lambda shots: any(shot.is_new for shot in shots)))
def test_a_check_of_a_run_finds_what_looking_at_each_pair_finds(
    empty: Any, unguarded: World, shots: list[Shot]
) -> None:
    taken_in = {shot.id for shot in shots if shot.is_new}
    expected = {name for name in of_pairs(shots, ahead=True) if name in taken_in}
    found = wrong(empty, unguarded, shots, new(unguarded, shots))
    assert set(found) == expected
    by_id = {shot.id: shot for shot in shots}
    for name, row in found.items():
        share = shared(by_id[name], by_id[row["overlaps_segment_id"]])
        assert share > TOLERANCE
        assert float(row["overlap_seconds"]) == pytest.approx(share)
