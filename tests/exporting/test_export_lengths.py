"""The longest export that anybody asks for, and the shortest: every frame once, at its time, and no other."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import av
import pytest

from demo.segments import ingested
from demo.video import counter_frame
from demo.video import run as ffmpeg
from reelkeeper.media.verification import verify
from reelkeeper.model import BatchId, Camera, camera_id
from reelkeeper.stores.body import Body
from tests.exporting.conftest import DISK, TENANT, Rig, counters

pytestmark = pytest.mark.encodes

HOUR = timedelta(hours=1)
BEGIN = datetime(2025, 3, 29, 22, 43, tzinfo=UTC)
"""Of the first of 26 hours: midnight, in UTC and in Berlin, lies within an hour and within a group of pictures."""
STEP = timedelta(seconds=2)
WIDTH, HEIGHT = 64, 48


@pytest.fixture(scope="module")
def hours(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Files of an hour each, one after another, with a frame every two seconds; a counter runs through all of them."""
    folder = tmp_path_factory.mktemp("hours")
    pictures = (counter_frame(number, WIDTH, HEIGHT).tobytes() for number in range(26 * HOUR // STEP))
    ffmpeg(
        "ffmpeg", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{WIDTH}x{HEIGHT}", "-r", "1/2", "-i", "pipe:0",
        "-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-x264-params", "keyint=72:scenecut=0",
        "-f", "segment", "-segment_time", "3600", "-reset_timestamps", "1", folder / "%02d.mp4", stdin=pictures,
    )  # fmt: skip
    return sorted(folder.iterdir())


def record(rig: Rig, files: Sequence[Path]) -> None:
    gate = Camera(camera_id(TENANT, "gate"), TENANT, "gate", "Gate")
    rig.catalogue.cameras.register([gate])
    made = []
    for index, file in enumerate(files):
        body = Body.of_bytes(file.read_bytes())
        one = ingested(
            gate, BEGIN + index * HOUR, HOUR, store=DISK, size_bytes=body.size_bytes, checksum=body.sha256
        )  # fmt: skip
        rig.stores[DISK].write(one.replica.path, body)
        made.append(one)
    rig.catalogue.segments.record(BatchId(uuid4()), made)


def told(rig: Rig, files: Mapping[str, Path]) -> Any:
    """What the manifest says of the one camera."""
    verdict = verify(files["manifest"], [rig.signer.public_key])
    assert verdict.found, verdict.findings
    [footage] = verdict.found.manifest.footage
    return footage


def test_one_frame(rig: Rig, hours: list[Path]) -> None:
    """A range that is shorter than from one frame to the next, within an hour and within a group of pictures."""
    record(rig, hours[:2])
    moment = BEGIN + 1001 * STEP
    export = rig.made(
        "gate",
        start_time=(moment - timedelta(seconds=1)).isoformat(),
        end_time=(moment + timedelta(milliseconds=1)).isoformat(),
    )
    files = rig.fetched(export)
    picture = told(rig, files).picture
    assert (picture.first_frame, picture.last_frame, picture.frames) == (moment, moment, 1)
    assert counters(files["footage"]) == [1001]


@pytest.mark.parametrize(
    ("start", "end", "length"),
    [
        ("2025-03-30T00:00:00Z", "2025-03-31T00:00:00Z", 24 * HOUR),
        ("2025-03-30T00:00:00+01:00", "2025-03-31T00:00:00+02:00", 23 * HOUR),
    ],
    ids=["the day in UTC", "the day on which Berlin has 23 hours"],
)
def test_a_day(rig: Rig, hours: list[Path], start: str, end: str, length: timedelta) -> None:
    assert len(hours) == 26
    record(rig, hours)
    export = rig.made("gate", start_time=start, end_time=end)
    assert (export.status, export.progress) == ("COMPLETED", 100)
    files = rig.fetched(export)
    footage = told(rig, files)
    first_moment = datetime.fromisoformat(start)
    first, frames = (first_moment - BEGIN) // STEP, length // STEP
    assert (footage.picture.first_frame, footage.picture.last_frame) == (first_moment, first_moment + length - STEP)
    assert (footage.picture.frames, footage.gaps, footage.overlaps) == (frames, (), ())
    assert len(footage.sources) == length // HOUR + 1, "the hours in which midnight lies are two of them"
    assert counters(files["footage"]) == list(range(first, first + frames)), "hidden ones, too"
    with av.open(str(files["footage"])) as container:
        video = container.streams.video[0]
        times = sorted(packet.pts * packet.time_base for packet in container.demux(video) if packet.pts is not None)
        assert video.duration * video.time_base == length.total_seconds()
    assert {later - one for one, later in pairwise(times)} == {STEP.total_seconds()}, "at each of the joints, too"
