"""The track of sound, cut once and as a whole: packets at their own times, where pictures are shown, none twice.

Rounding each piece's sound to whole packets would let it drift from the pictures, by up to a packet at every joint.
"""

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from av.audio.stream import AudioStream

from reelkeeper.media.clock import Scale
from reelkeeper.media.planning import Plan
from reelkeeper.media.timeline import Placed
from reelkeeper.media.writing import CannotCopy, Writer

if TYPE_CHECKING:
    from av.packet import Packet

_LEAD_SECONDS = Fraction(3, 2)
"""Sound may lie in a file before the picture it belongs to; reading starts that much earlier."""


def read_from(plan: Plan) -> int:
    """Where reading a plan's source starts so that none of its sound is missed, in ticks."""
    return plan.first - int(_LEAD_SECONDS / plan.source.time_base)


class SoundTrack:
    """What was written of the sound so far."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._end: int | None = None  # of what was written, in ticks
        self._behind = 0  # how much later than the pictures it began

    def piece(self, placed: Placed, audio: AudioStream) -> "SoundOfPiece":
        """The part of it that one source gives."""
        return SoundOfPiece(self, self._writer, placed, audio)

    def take(self, packet: "Packet[Any]", pts: int, length: int, *, start: int) -> None:
        """Write a packet, unless it repeats more than half of what was written."""
        if self._end is not None and pts < self._end - length // 2:
            return
        if self._end is None:
            self._behind = pts - start
        self._end = pts + length
        self._writer.audio(packet, pts, length)

    def misses(self, until: int, length: int) -> bool:
        """Whether the sound is shorter than the pictures, which last until then, by a whole packet."""
        return self._end is not None and until - self._end + self._behind >= length


class SoundOfPiece:
    """Takes the packets of one source, in their order."""

    def __init__(self, track: SoundTrack, writer: Writer, placed: Placed, audio: AudioStream) -> None:
        self._track, self._placed = track, placed
        base = audio.time_base or writer.audio_base
        zero = placed.plan.first * placed.plan.source.time_base
        self._scale = Scale(base, writer.audio_base, zero / base, placed.start)
        self._start, self._until = (round(at / writer.audio_base) for at in (placed.start, placed.end))
        self._length = audio.codec_context.frame_size or 0
        self.is_over = False

    def take(self, packet: "Packet[Any]") -> None:
        if packet.pts is None:
            raise CannotCopy("its sound has no times")
        pts = self._scale(packet.pts)
        length = self._length or self._scale.span(packet.duration or 0)
        if pts >= self._until:
            self.is_over = True
        elif pts >= self._start:
            is_inside = pts + length <= self._until or self._placed.joins_next
            if is_inside or self._track.misses(self._until, length):
                self._track.take(packet, pts, length, start=self._start)
