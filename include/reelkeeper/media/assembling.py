"""Joining copied and encoded packets into one file, in one pass over the sources."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from fractions import Fraction
from math import lcm
from pathlib import Path

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Discard
from av.video.stream import VideoStream

from reelkeeper.media.bitstream import Bitstream, described
from reelkeeper.media.clock import Scale
from reelkeeper.media.command import Limits, Seconds
from reelkeeper.media.filling import Filling
from reelkeeper.media.holes import HasHoles, holes
from reelkeeper.media.orientation import Orientation
from reelkeeper.media.pictures import Pictures, fit
from reelkeeper.media.planning import Span
from reelkeeper.media.probe import open_footage
from reelkeeper.media.sound import SoundTrack, read_from
from reelkeeper.media.spans import Encoded
from reelkeeper.media.timeline import Placed, Timeline
from reelkeeper.media.writing import CannotCopy, Header, Writer, Written, writing

_COARSEST, _FINEST = 90_000, 1_000_000_000  # ticks a second


def assemble(
    timeline: Timeline, encoded: Mapping[Span, Encoded], target: Path, *, fillings: Sequence[Filling],
    sound: Path | None, limits: Limits, progress: Seconds | None, orientation: Orientation = (),
) -> Written:  # fmt: skip
    """Write the file. `fillings`: for the time before each piece and after the last, or
    none at all. `sound`: a file on the same clock; None: that of the pieces is copied. `orientation`: of all pictures.

    CannotCopy when packets do not fit together; HasHoles when a piece has one that nobody looked for.
    """
    with ExitStack() as stack:
        header = _header(
            timeline,
            [part.path for part in encoded.values()] + list(dict.fromkeys(each.path for each in fillings)),
            target,
            orientation,
            stack,
        )
        anew = stack.enter_context(open_footage(sound)) if sound else None
        audio = anew.streams.audio[0] if anew else _sound(timeline, stack)
        writer = stack.enter_context(writing(target, header, audio, limits=limits, progress=progress))
        track = SoundTrack(writer) if audio and not anew else None
        if anew:
            writer.feed(anew)
        for index, placed in enumerate(timeline.placed):
            if fillings:
                fillings[index].fill(writer, header, *timeline.black[index])
            elif index and not timeline.placed[index - 1].joins_next:
                writer.restart()
            piece = _Piece(placed, encoded, writer, header, track)
            piece.write()
            if not timeline.looked_inside and piece.has_holes():
                raise HasHoles
        if fillings:
            fillings[-1].fill(writer, header, *timeline.black[-1])
        return Written(writer.frames, writer.copied)


def _header(
    timeline: Timeline, encoded: list[Path], target: Path, orientation: Orientation, stack: ExitStack
) -> Header:
    """A header that is true of every part; the first part that is copied, else the first at all, is its model."""
    copied = [placed.plan.source for placed in timeline.placed if placed.plan.copied]
    template = (
        stack.enter_context(copied[0].opened())[1] if copied
        else stack.enter_context(open_footage(encoded[0])).streams.video[0]
    )  # fmt: skip
    streams: list[Bitstream | None] = [source.bitstream for source in copied]
    depth = max([source.reorders for source in copied], default=0)
    for part in encoded:
        with open_footage(part) as container:
            context = container.streams.video[0].codec_context
            if context.name in ("h264", "hevc"):
                streams.append(described(context.name, context.extradata))
            depth = max(depth, int(context.reorder_depth))
    joined, in_band = _agreed([stream for stream in streams if stream], target)
    first = timeline.placed[0].plan
    base = _time_base([placed.plan.source.time_base for placed in timeline.placed])
    return Header(template, joined, in_band, base, orientation, depth, max(round(first.interval / base), 1))


def _agreed(streams: list[Bitstream], target: Path) -> tuple[Bitstream | None, bool]:
    """One header for all, and whether parameter sets have to stand in the stream itself."""
    if not streams:
        return None, False
    if target.suffix.lower() == ".ts":
        return streams[0].between_start_codes(), True
    joined = streams[0]
    for other in streams[1:]:
        both = joined.joined(other)
        if both is None:
            return streams[0], True
        joined = both
    return joined, False


def _time_base(bases: list[Fraction]) -> Fraction:
    """Ticks in which the times of all parts are whole, if there are any; fine enough for a wall clock."""
    common = lcm(*(base.denominator for base in bases))
    while common < _COARSEST:
        common *= 2
    return Fraction(1, common if common <= _FINEST else _COARSEST)


def _sound(timeline: Timeline, stack: ExitStack) -> AudioStream | None:
    """The first piece's that has any is the model of all."""
    for placed in timeline.placed:
        if placed.plan.source.sound:
            container, _ = stack.enter_context(placed.plan.source.opened())
            return container.streams.audio[0]
    return None


class _Piece:
    """Writes what one source gives."""

    def __init__(
        self, placed: Placed, encoded: Mapping[Span, Encoded], writer: Writer, header: Header, track: SoundTrack | None
    ) -> None:
        self._placed, self._plan, self._source = placed, placed.plan, placed.plan.source
        self._encoded, self._writer, self._header, self._track = encoded, writer, header, track
        self._times = [pts for span in (self._plan.head, self._plan.tail) if span for pts in span.frames]

    def write(self) -> None:
        if self._plan.head:
            self._write_encoded(self._encoded[self._plan.head])
        with self._source.opened(read_from(self._plan)) as (container, video):
            audio = container.streams.audio[0] if self._track and container.streams.audio else None
            self._read(container, video, audio)
        if self._plan.tail:
            self._write_encoded(self._encoded[self._plan.tail])

    def has_holes(self) -> bool:
        """Whether some time within it has no picture, as far as it was written."""
        return bool(holes(sorted(self._times), self._source.time_base, self._source.interval))

    def _read(self, container: InputContainer, video: VideoStream, audio: AudioStream | None) -> None:
        """Copy pictures and sound in the order in which they lie in the file."""
        pictures = Pictures(self._placed, self._writer, self._header) if self._plan.copied else None
        sound = self._track.piece(self._placed, audio) if self._track and audio else None
        wanted = [stream for stream, taker in ((video, pictures), (audio, sound)) if taker is not None]
        for stream in container.streams:
            if stream not in wanted and stream.type in ("audio", "video"):
                stream.discard = Discard.all
        for packet in container.demux(wanted) if wanted else ():
            if not packet.size:
                continue
            if pictures is not None and packet.stream_index == video.index:
                pictures.take(packet)
            elif sound is not None:
                sound.take(packet)
            if (pictures is None or pictures.is_over) and (
                sound is None or sound.is_over or (pictures is not None and pictures.is_far_over)
            ):
                break
        self._times += pictures.times if pictures else []
        if pictures is not None and not pictures.is_complete:
            raise CannotCopy("its packets did not come in the order in which they came before")

    def _write_encoded(self, part: Encoded) -> None:
        with open_footage(part.path) as container:
            video = container.streams.video[0]
            assert video.time_base is not None
            own = described(video.codec_context.name, video.codec_context.extradata)
            start = self._placed.start + (part.first - self._plan.first) * self._source.time_base
            scale = Scale(video.time_base, self._writer.time_base, Fraction(0), start)
            own_scale = Scale(
                self._source.time_base, self._writer.time_base, Fraction(self._plan.first), self._placed.start
            )
            last, end = own_scale(self._plan.last), own_scale(self._plan.end)
            for packet in container.demux(video):
                if packet.size and packet.pts is not None:
                    pts = scale(packet.pts)
                    duration = end - last if pts == last else scale.span(packet.duration or 0)
                    self._writer.video(fit(packet, own, self._header), pts, duration)
