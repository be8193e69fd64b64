"""Black pictures for time without footage."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol

from reelkeeper.media.bitstream import described
from reelkeeper.media.clock import Scale
from reelkeeper.media.command import Command, Limits, run
from reelkeeper.media.pictures import fit, replaced
from reelkeeper.media.probe import open_footage
from reelkeeper.media.spans import edge_arguments
from reelkeeper.media.writing import CannotCopy, Header, Writer

_PICTURES = 2
"""Two that follow each other must differ in a number (H.264 7.4.3, idr_pic_id), so that two are repeated in turn."""


class Filling(Protocol):
    """What is shown for a time without footage."""

    @property
    def path(self) -> Path:
        """A file whose stream is written as its packets are."""
        ...

    def fill(self, writer: Writer, header: Header, start: Fraction, end: Fraction) -> None:
        """Write it from `start` to `end`, in seconds of the file."""
        ...


@dataclass(frozen=True, slots=True)
class Filmed:
    """A file that was made for one such time, and lasts as long."""

    path: Path

    def fill(self, writer: Writer, header: Header, start: Fraction, end: Fraction) -> None:
        """See `Filling`."""
        writer.restart()
        with open_footage(self.path) as container:
            video = container.streams.video[0]
            assert video.time_base is not None
            own = described(video.codec_context.name, video.codec_context.extradata)
            scale = Scale(video.time_base, writer.time_base, Fraction(0), start)
            for packet in container.demux(video):
                if packet.size and packet.pts is not None and scale(packet.pts) * writer.time_base < end:
                    writer.video(fit(packet, own, header), scale(packet.pts), scale.span(packet.duration or 0))
        writer.restart()


@dataclass(frozen=True, slots=True)
class Black:
    """A file of black pictures, each of which stands for itself."""

    path: Path
    command: Command

    def fill(self, writer: Writer, header: Header, start: Fraction, end: Fraction) -> None:
        """See `Filling`: one picture a second."""
        with open_footage(self.path) as container:
            video = container.streams.video[0]
            own = described(video.codec_context.name, video.codec_context.extradata)
            pictures = [(bytes(packet), packet) for packet in container.demux(video) if packet.size]
            writer.restart()
            number, at = 0, start
            while at < end:
                until = min(at + 1, end) if end - at >= Fraction(3, 2) else end
                data, packet = pictures[number % len(pictures)]
                pts = round(at / writer.time_base)
                writer.video(fit(replaced(packet, data), own, header), pts, round(until / writer.time_base) - pts)
                number, at = number + 1, until
            writer.restart()


def make_black(
    codec: str, size: tuple[int, int], pixel_format: str, target: Path, *, profile: str | None, set_id: int,
    limits: Limits,
) -> Black:  # fmt: skip
    """Black of `size`, in pixels, to stand beside footage of that codec. CannotCopy when it cannot be made."""
    width, height = size
    if codec == "mjpeg":
        encoder = ["-c:v", "mjpeg", "-q:v", "3", "-pix_fmt", pixel_format]
    elif codec in ("h264", "hevc"):
        encoder = edge_arguments(codec, pixel_format, profile=profile, set_id=set_id, intra=True)
    else:
        raise CannotCopy(f"black is not made as {codec}")
    graph = f"color=black:s={width}x{height}:r=1:d={_PICTURES}"
    command = run(
        ["-f", "lavfi", "-i", graph, *encoder, "-map_metadata", "-1", "-f", "mp4", "-y", f"file:{target}"],
        limits=limits,
    )
    return Black(target, command)
