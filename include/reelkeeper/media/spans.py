"""Encoding frames of one source anew, by ffmpeg, into a file of its own."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import inf
from pathlib import Path

from reelkeeper.errors import MediaError
from reelkeeper.media.command import Command, Limits, file_url, run
from reelkeeper.media.planning import Span
from reelkeeper.media.probe import open_footage, video_stream
from reelkeeper.media.source import REWIND
from reelkeeper.media.writing import CannotCopy

log = logging.getLogger(__name__)

_EDGE_QUALITY = {"h264": "15", "hevc": "17"}
"""Constant rate factors at which a seam cannot be seen; a few frames cost no room."""
_PROFILES = {
    "Baseline": "baseline", "Constrained Baseline": "baseline", "Main": "main", "High": "high", "High 10": "high10",
    "High 4:2:2": "high422", "High 4:4:4 Predictive": "high444",
}  # fmt: skip
_NO_LOOKAHEAD = "rc-lookahead=0:sync-lookahead=0:threads=2"
"""A few frames are not worth the memory that looking ahead takes."""
_STEPS_BACK = (0.0, 3.0, 30.0, inf)  # seconds


@dataclass(frozen=True, slots=True)
class Encoded:
    """Frames that were encoded anew: their file, whose time 0 is the time `first` of the source."""

    path: Path
    first: int  # ticks of the source
    command: Command


def encode_edge(span: Span, target: Path, *, set_id: int, limits: Limits) -> Encoded:
    """The frames of a partial group of pictures, in the source's codec, so that its packets can stand beside the
    source's own: no reordering, one access point, parameter sets of the id `set_id` (H.264). CannotCopy when the frames
    that come out are not exactly those of the span."""
    source = span.source
    encoder = edge_arguments(source.codec, source.look.pixel_format, profile=source.profile, set_id=set_id)
    if source.is_interlaced:
        encoder += ["-flags", "+ildct+ilme"]
    return _exactly(span, target, encoder, limits)


def edge_arguments(
    codec: str, pixel_format: str, *, profile: str | None, set_id: int, intra: bool = False
) -> list[str]:
    """How ffmpeg encodes pictures that stand beside copied ones; with `intra` each stands for itself."""
    quality = ["-preset", "veryfast", "-crf", _EDGE_QUALITY[codec], "-pix_fmt", pixel_format]
    order = f"bframes=0:keyint={1 if intra else 250}:min-keyint=1:scenecut=0:open-gop=0"
    if codec == "hevc":
        return [
            "-c:v",
            "libx265",
            *quality,
            "-x265-params",
            f"{order}:log-level=none:info=0:rc-lookahead=5:pools=2:frame-threads=1",
        ]
    known = _PROFILES.get(profile or "")
    kept = ["-profile:v", known] if known else []
    return ["-c:v", "libx264", *quality, *kept, "-x264-params", f"sps-id={set_id}:{order}:{_NO_LOOKAHEAD}"]


def _exactly(span: Span, target: Path, encoder: list[str], limits: Limits) -> Encoded:
    found: list[int] = []
    for back in steps_back(span):
        try:
            command = run(_arguments(span, target, encoder, back), limits=limits)
        except MediaError as exc:  # an ffmpeg without that encoder, perhaps
            log.warning("edges could not be encoded as %s: %s", span.source.look, exc)  # whose words name folders
            raise CannotCopy(f"edges could not be encoded as {span.source.look}") from exc
        found = sorted(frame_times(target, span.source.time_base, pixel_format=span.source.look.pixel_format))
        if found == [pts - span.first for pts in span.frames]:
            return Encoded(target, span.first, command)
    raise CannotCopy(
        f"encoding edges anew gave {len(found)} frames: expected {len(span.frames)}, from tick {span.first} on"
    )


def _arguments(span: Span, target: Path, encoder: list[str], back: float) -> list[str]:
    source = span.source
    trim = f"trim=start_pts={span.first}:end_pts={span.end},setpts=PTS-{span.first}"
    options = [
        item for name, value in seek_options(span, back).items() for item in (f"-{name}", value) if item is not None
    ]
    return [
        *options, "-threads", "2", "-noautorotate", "-i", file_url(source.piece.path),
        "-map", f"0:{source.video_index}", "-map_metadata", "-1", "-vf", trim, "-noautoscale", "-fps_mode",
        "passthrough", "-copyts", "-enc_time_base", "demux", *encoder,
        "-video_track_timescale", str(source.time_base.denominator), "-f", "mp4", "-y", file_url(target),
    ]  # fmt: skip


def steps_back(span: Span) -> Iterator[float]:
    """How many seconds before the span reading is to begin, one try after another. A seek in a transport stream may end
    behind what it was to find, so that there even the first try begins earlier."""
    since_first = float((span.decode_from - span.source.first) * span.source.time_base)
    for back in _STEPS_BACK if span.source.container in REWIND else _STEPS_BACK[1:]:
        yield back
        if since_first <= back:
            return


def seek_options(span: Span, back: float) -> dict[str, str | None]:
    """How ffmpeg is told to begin where the span can be decoded from, or `back` seconds earlier."""
    source = span.source
    at = float(span.decode_from * source.time_base) - back
    if at <= source.first * source.time_base:
        return {}
    return {"seek_timestamp": "1", "ss": f"{at:.6f}", "noaccurate_seek": None}


def frame_times(path: Path, base: Fraction, *, pixel_format: str | None = None) -> Iterator[int]:
    """When the frames of a file are shown, in ticks of `base`, in the stream's order; none where ffmpeg wrote none.

    CannotCopy when they are not in `pixel_format`: ffmpeg takes what its encoder can do."""
    with open_footage(path) as container:
        video = video_stream(container)
        if video is None or video.time_base is None:
            return
        made = str(video.codec_context.pix_fmt)
        if pixel_format and made != pixel_format:
            raise CannotCopy(f"frames were encoded as {made}: expected {pixel_format}")
        ratio = video.time_base / base
        for packet in container.demux(video):
            if packet.size and packet.pts is not None:
                yield round(packet.pts * ratio)
