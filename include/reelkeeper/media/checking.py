"""Whether a file that was cut shows, at its seams, what the sources show."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from reelkeeper.media.probe import open_footage, video_stream
from reelkeeper.media.timeline import Placed, Timeline

_AFTER = 3
"""Copied frames that are looked at on their side of a seam."""
_SAMPLED = 4
"""Every so many pixels are compared, in both directions."""
_ALIKE = 8.0
"""How much an encoded picture may differ on average, of 255; another frame of a scene that moves differs by more."""
_MAX_JOINTS = 50
Sample = NDArray[np.uint8]


class NotRight(Exception):
    """The file does not show what it should; the message says where."""


@dataclass(frozen=True, slots=True)
class Seam:
    """Frames of one source on both sides of a place where packets of two origins meet."""

    placed: Placed
    decode_from: int  # ticks of the source
    copied: int  # how many frames of the copy are compared
    frames: tuple[int, ...]  # encoded anew, in ticks of the source
    is_end: bool  # the copy comes first


def seams(timeline: Timeline) -> list[Seam]:
    """Every place where a copy and encoded frames meet, and the first joints of copies."""
    found = []
    for index, placed in enumerate(timeline.placed):
        plan = placed.plan
        if plan.head and plan.copied:
            found.append(Seam(placed, plan.head.decode_from, _AFTER, plan.head.frames, is_end=False))
        elif plan.copied and (plan.copied.anew or 0 < index <= _MAX_JOINTS):
            found.append(Seam(placed, plan.copied.access, _AFTER, (), is_end=False))
        if plan.tail and plan.copied:
            found.append(Seam(placed, plan.tail.decode_from, _AFTER, plan.tail.frames, is_end=True))
    return found


def expected(seam: Seam) -> dict[int, Sample]:
    """What the source shows around a seam: samples of its pictures by their times, in ticks."""
    source = seam.placed.plan.source
    with source.opened() as (container, video):
        if seam.decode_from > source.first:
            container.seek(seam.decode_from, stream=video)
        return dict(_around(_frames(container, video), seam, lambda pts: pts))


def check(target: Path, timeline: Timeline, frames: int, pictures: Sequence[tuple[Seam, dict[int, Sample]]]) -> None:
    """NotRight when the file lacks packets, or shows something else than expected at a seam."""
    with open_footage(target) as container:
        video = video_stream(container)
        if video is None or (video.frames and video.frames != frames):
            raise NotRight(f"{video.frames if video else 0} frames were found: expected {frames}")
        shift = _first_time(container, video) - timeline.placed[0].start
    for seam, samples in pictures:
        _check_seam(target, seam, samples, shift)


def _check_seam(target: Path, seam: Seam, samples: dict[int, Sample], shift: Fraction) -> None:
    plan = seam.placed.plan
    base = plan.source.time_base
    with open_footage(target) as container:
        video = video_stream(container)
        assert video is not None
        assert video.time_base is not None
        own = video.time_base

        def to_source(pts: int) -> int:
            """The source's time of a picture of the file; exact to half a tick of the file's."""
            return _nearest(plan.first + round((pts * own - shift - seam.placed.start) / base), samples, base, own)

        at = seam.frames[0] if seam.frames and not seam.is_end else plan.copied.access if plan.copied else plan.first
        if seam.is_end:
            at = seam.frames[0] - round(plan.interval / base / 2)  # not yet there, or the seek finds what follows
        start = round((seam.placed.start + shift + (at - plan.first) * base) / own)
        if seam.is_end or seam.placed.start:
            container.seek(start, stream=video)
        shown = dict(_around(_frames(container, video), seam, to_source))
    for pts, sample in samples.items():
        where = f"at {plan.source.moment(pts).isoformat()}"
        if pts not in shown:
            raise NotRight(f"a frame is missing {where}")
        is_encoded = bool(seam.frames) and seam.frames[0] <= pts <= seam.frames[-1]
        difference = float(np.abs(sample.astype(np.int16) - shown[pts]).mean())
        if difference > (_ALIKE if is_encoded else 0.0):
            raise NotRight(f"the picture differs from the source's {where}")


def _nearest(pts: int, samples: dict[int, Sample], base: Fraction, own: Fraction) -> int:
    slack = own / base
    return next((known for known in samples if abs(known - pts) <= slack), pts)


def _around(frames: Iterable[tuple[int, Any]], seam: Seam, to_source: Any) -> Iterator[tuple[int, Sample]]:
    """The frames next to the seam: those encoded anew, and the copied ones that adjoin them."""
    plan = seam.placed.plan
    assert plan.copied is not None
    before: list[tuple[int, Sample]] = []
    after = 0
    for own, frame in frames:
        pts = to_source(own)
        if seam.frames and seam.frames[0] <= pts <= seam.frames[-1]:
            yield from before
            before = []
            yield pts, _sample(frame)
        elif seam.is_end:
            if pts > seam.frames[-1]:
                return
            if pts >= plan.copied.first:
                before = [*before[1 - seam.copied :], (pts, _sample(frame))]
        elif pts >= plan.copied.first:
            if after == seam.copied or pts > plan.last or (plan.tail and pts >= plan.tail.first):
                return
            after += 1
            yield pts, _sample(frame)


def _frames(container: InputContainer, video: VideoStream) -> Iterator[tuple[int, Any]]:
    video.codec_context.thread_type = "AUTO"
    video.codec_context.thread_count = 2
    for frame in container.decode(video):
        if frame.pts is not None:
            yield frame.pts, frame


def _sample(frame: Any) -> Sample:
    plane = frame.planes[0]
    width = plane.line_size
    rows: Sample = np.frombuffer(plane, np.uint8)[: width * frame.height].reshape(frame.height, width)
    return rows[::_SAMPLED, : frame.width : _SAMPLED].copy()


def _first_time(container: InputContainer, video: VideoStream) -> Fraction:
    times = []
    assert video.time_base is not None
    for packet in container.demux(video):
        if packet.pts is not None:
            times.append(packet.pts)
        if len(times) > 16:
            break
    return min(times) * video.time_base
