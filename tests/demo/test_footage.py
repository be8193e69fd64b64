"""The hour of footage is what it says: whole minutes, a counter that runs on, every file its own."""

from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import av
import numpy as np
import pytest

from demo.footage import RECORDERS, make_awkward, make_hour
from demo.video import read_counter

pytestmark = pytest.mark.encodes

START = datetime(2026, 3, 29, 1, 0, tzinfo=UTC)


def _luma(path: Path) -> list["np.ndarray[tuple[int, ...], np.dtype[np.uint8]]"]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray()[: frame.height] for frame in container.decode(video=0)]


def test_two_minutes_of_every_recorder(tmp_path: Path) -> None:
    made = make_hour(tmp_path / "zone", tmp_path / "work", START, segments=2)

    paths = {recorder.camera: [tmp_path / "zone" / recorder.layout(recorder.camera, START.replace(minute=minute))
                               for minute in range(2)] for recorder in RECORDERS}  # fmt: skip
    on_disk = {(path.stat().st_size, sha256(path.read_bytes()).hexdigest()) for two in paths.values() for path in two}
    assert {(file.size_bytes, file.sha256) for file in made} == on_disk
    assert len({file.sha256 for file in made}) == 2 * len(RECORDERS)
    for path in (path for two in paths.values() for path in two):
        with av.open(str(path)) as container:
            assert container.duration == 60_000_000  # microseconds
    first, second = (_luma(path) for path in paths["loading-bay"])
    numbers = [read_counter(frame) for frame in first + second]
    assert numbers == list(range(numbers[0], numbers[0] + 2 * 240))


def test_awkward_files_cannot_be_opened(tmp_path: Path) -> None:
    make_hour(tmp_path / "zone", tmp_path / "work", START, segments=1)
    for path in make_awkward(tmp_path / "zone", START):
        try:
            av.open(str(path)).close()
        except av.error.FFmpegError:
            continue
        raise AssertionError(f"{path} could be opened")
