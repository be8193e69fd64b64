"""What is in a file that was made, by its own packets: no more may be claimed of it."""

from array import array
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from reelkeeper.media.orientation import Orientation, orientation, turn
from reelkeeper.media.probe import open_footage, video_stream
from reelkeeper.media.timeline import Timeline

_SLACK = 2
"""Ticks of the file: times are rounded when they are written."""


class NotRight(Exception):
    """The file does not show what it should; the message says where."""


@dataclass(frozen=True, slots=True)
class Counted:
    """A file that has the frames that are claimed. `width` and `height`, in pixels, of its first picture; `shift`:
    seconds from the timeline's clock to the file's."""

    width: int
    height: int
    shift: Fraction


def count(target: Path, timeline: Timeline, frames: int, shown: Orientation = ()) -> Counted:
    """NotRight unless the file can be opened, has so many frames, which are shown as they should be, and the first and
    the last of the footage stand where the timeline has them."""
    times = array("q")
    picture: Any = None
    try:
        with open_footage(target) as container:
            video = video_stream(container)
            if video is None or video.time_base is None:
                raise NotRight(f"it has no pictures: expected {frames}")
            base = video.time_base
            for packet in container.demux(video):
                if picture is None:
                    picture = _picture(packet)
                if packet.size and packet.pts is not None and not packet.is_discard:
                    times.append(packet.pts)
    except av.FFmpegError as exc:
        raise NotRight(f"it cannot be read ({exc.strerror})") from exc
    if len(times) != frames:
        raise NotRight(f"it has {len(times)} frames: expected {frames}")
    if picture is None:
        raise NotRight("none of its pictures can be decoded")
    if (found := orientation(picture)) != shown:
        raise NotRight(f"its pictures are shown turned by {turn(found)}°: expected {turn(shown)}°, mirrored alike")
    last = timeline.placed[-1]
    starts_at = timeline.black[0][0] if timeline.black else timeline.placed[0].start
    shift = min(times) * base - starts_at
    ends_at = last.start + (last.plan.last - last.plan.first) * last.plan.source.time_base
    for name, place in (("first", timeline.placed[0].start), ("last", ends_at)):
        expected = round((place + shift) / base)
        if not any(abs(pts - expected) <= _SLACK for pts in times):
            raise NotRight(f"its {name} frame is not at {float(place):.6f} s, where it should be")
    return Counted(picture.width, picture.height, shift)


def _picture(packet: Any) -> Any:
    """What comes out of the decoder after a packet, if anything does; what is damaged is left out."""
    try:
        return next(iter(packet.decode()), None)
    except av.FFmpegError:
        return None
