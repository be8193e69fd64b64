"""Whether a file that was cut shows, at its seams, what the sources show."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.stream import Discard
from av.video.stream import VideoStream
from numpy.typing import NDArray

from reelkeeper.media.counting import Counted, NotRight, count
from reelkeeper.media.planning import Plan
from reelkeeper.media.probe import open_footage
from reelkeeper.media.source import REWIND
from reelkeeper.media.timeline import Placed, Timeline

_AFTER = 3
"""Copied frames that are looked at on their side of a seam."""
_AFTER_OPEN = 64
"""And where copying begins at an open group of H.264: until no picture is left that a decoder takes for one of those
that were left out, and predicts from. It keeps 16 at most, every fourth or so of those that are shown."""
_FIRST, _LAST = 2, 6
"""Encoded frames that are looked at."""
_SAMPLED = 4
"""Every so many pixels are compared, in both directions."""
_ALIKE = 8.0
"""How much an encoded picture may differ on average, of 255; another frame of a scene that moves differs by more."""
_MAX_JOINTS = 50
_SEEK_SECONDS = 1
"""How much before a picture reading starts: in a transport stream a seek may end behind it."""
Sample = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Seam:
    """Frames of one source on both sides of a place where packets of two origins meet."""

    placed: Placed
    decode_from: int  # ticks of the source
    copied: int  # how many frames of the copy are compared
    frames: tuple[int, ...]  # encoded anew, in ticks of the source
    is_end: bool  # the copy comes first

    @property
    def is_open(self) -> bool:
        """Whether it is one that H.264 has no name for: the pictures that were left out are missed by their numbers."""
        plan = self.placed.plan
        return _is_open(plan) and not self.is_end

    @property
    def compared(self) -> tuple[int, ...]:
        """Those of the encoded frames that are looked at; that all are there was counted when they were encoded."""
        return (*self.frames[:_FIRST], *self.frames[-_LAST:])


def seams(timeline: Timeline) -> list[Seam]:
    """Every place where a copy and encoded frames meet, and the first joints of copies."""
    found = []
    for index, placed in enumerate(timeline.placed):
        plan = placed.plan
        after = _AFTER_OPEN if _is_open(plan) else _AFTER
        if plan.head and plan.copied:
            found.append(Seam(placed, plan.head.decode_from, after, plan.head.frames, is_end=False))
        elif plan.copied and (plan.copied.anew or 0 < index <= _MAX_JOINTS):
            found.append(Seam(placed, plan.copied.access, after, (), is_end=False))
        if plan.tail and plan.copied:
            found.append(Seam(placed, plan.tail.decode_from, _AFTER, plan.tail.frames, is_end=True))
    return found


def _is_open(plan: Plan) -> bool:
    return plan.copied is not None and plan.copied.anew and plan.source.codec == "h264"


def expected(seam: Seam) -> dict[int, Sample]:
    """What the source shows around a seam: samples of its pictures by their times, in ticks."""
    source = seam.placed.plan.source
    with source.opened(seam.decode_from) as (container, video):
        return dict(_around(_frames(container, video), seam, lambda pts: pts))


def check(
    target: Path, timeline: Timeline, frames: int, pictures: Sequence[tuple[Seam, dict[int, Sample]]]
) -> Counted:  # fmt: skip
    """NotRight when the file lacks frames, or shows something else than expected at a seam."""
    counted = count(target, timeline, frames, timeline.placed[0].plan.source.look.orientation)
    try:
        with open_footage(target) as container:
            if container.format.name in REWIND:
                for seam, samples in pictures:
                    _check_seam(container, container.streams.video[0], seam, samples, counted.shift)
                return counted
        for seam, samples in pictures:
            with open_footage(target) as container:
                _check_seam(container, container.streams.video[0], seam, samples, counted.shift)
    except av.FFmpegError as exc:
        raise NotRight(f"it could not be decoded ({exc.strerror})") from exc
    return counted


def _check_seam(
    container: InputContainer, video: VideoStream, seam: Seam, samples: dict[int, Sample], shift: Fraction
) -> None:
    try:
        _compare(container, video, seam, samples, shift)
    except NotRight as exc:
        if not seam.is_open:
            raise
        plan = seam.placed.plan
        assert plan.copied is not None
        begin = plan.source.moment(plan.copied.access).isoformat()
        raise NotRight(f"at the open group of pictures (H.264) from {begin} on: {exc}") from exc


def _compare(
    container: InputContainer, video: VideoStream, seam: Seam, samples: dict[int, Sample], shift: Fraction
) -> None:
    plan = seam.placed.plan
    base, own = plan.source.time_base, video.time_base
    assert own is not None

    def to_source(pts: int) -> int:
        """The source's time of a picture of the file; exact to half a tick of the file's."""
        return _nearest(plan.first + round((pts * own - shift - seam.placed.start) / base), samples, base, own)

    starts_at = plan.copied.access if plan.copied and not seam.frames else seam.frames[0]
    at = seam.decode_from if seam.is_end else starts_at
    start = max(seam.placed.start + shift + (at - plan.first) * base - _SEEK_SECONDS, shift)
    if start > shift or container.format.name in REWIND:
        container.seek(round(start / own), stream=video)
    shown = dict(_around(_in_order(_frames(container, video)), seam, to_source))
    for pts, sample in samples.items():
        where = f"at {plan.source.moment(pts).isoformat()}"
        if pts not in shown:
            raise NotRight(f"a frame is missing {where}")
        if shown[pts].shape != sample.shape:
            raise NotRight(f"the picture is of another size than the source's {where}")
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
            if pts in seam.compared:
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
    """Pictures from the first on with which decoding can start."""
    for stream in container.streams.audio:
        stream.discard = Discard.all
    has_begun = False
    for packet in container.demux(video):
        has_begun = has_begun or packet.is_keyframe
        for frame in packet.decode() if has_begun else ():
            if frame.pts is not None:
                yield frame.pts, frame


def _in_order(frames: Iterable[tuple[int, Any]]) -> Iterator[tuple[int, Any]]:
    """NotRight where a decoder puts out a picture after one that is shown later: some players would leave it out."""
    last: int | None = None
    for pts, frame in frames:
        if last is not None and pts <= last:
            raise NotRight("its pictures would not be decoded in the order in which they are shown")
        yield pts, frame
        last = pts


def _sample(frame: Any) -> Sample:
    """Some of its brightness, of 255."""
    plane = frame.planes[0]
    bits = frame.format.components[0].bits
    kind = np.uint16 if bits > 8 else np.uint8
    rows = np.frombuffer(plane, kind)[: plane.line_size // kind().itemsize * frame.height].reshape(frame.height, -1)
    sample: Sample = (rows[::_SAMPLED, : frame.width : _SAMPLED] >> max(bits - 8, 0)).astype(np.uint8)
    return sample
