"""The pictures of one source that are copied."""

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from av.packet import Packet as NewPacket

from reelkeeper.media.bitstream import Bitstream
from reelkeeper.media.clock import Scale
from reelkeeper.media.timeline import Placed
from reelkeeper.media.writing import CannotCopy, Header, Writer

if TYPE_CHECKING:
    from av.packet import Packet

_LAG_SECONDS = 5
"""Sound that lies later than that in a file than its picture is not waited for."""


class Pictures:
    """Takes the packets of one source's video, in their order, and writes those that its plan copies."""

    def __init__(self, placed: Placed, writer: Writer, header: Header) -> None:
        self._plan, self._writer, self._header = placed.plan, writer, header
        assert placed.plan.copied is not None
        self._copied = placed.plan.copied
        source = placed.plan.source
        self._own = source.bitstream
        self._must_fit = (
            header.bitstream is not None
            and self._own is not None
            and (header.in_band or self._own.length_size != header.bitstream.length_size)
        )
        self._scale = Scale(source.time_base, writer.time_base, Fraction(placed.plan.first), placed.start)
        self._far = placed.plan.end + int(_LAG_SECONDS / source.time_base)
        self._has_begun = self.is_over = self.is_far_over = False
        self.times: list[int] = []
        """When those that were written are shown, in ticks of the source."""

    @property
    def is_complete(self) -> bool:
        return self._has_begun and (self.is_over or self._copied.stop is None)

    def take(self, packet: "Packet[Any]") -> None:
        pts = packet.pts
        if self.is_over:
            self.is_far_over = pts is not None and pts > self._far
            return
        if pts is None:
            raise CannotCopy("some of its packets do not say when they are shown")
        if not self._has_begun:
            if pts != self._copied.access or not packet.is_keyframe:
                return
            self._has_begun = True
            if self._copied.anew and self._own is not None:
                packet = replaced(packet, self._own.starting_anew(bytes(packet)))
        elif pts == self._copied.stop:
            self.is_over = True
            return
        elif pts < self._copied.first:
            return  # a leading picture: it was encoded anew
        if packet.is_discard or pts > self._plan.last:
            raise CannotCopy("it hides pictures amid others")
        shown_for = self._plan.end - pts if pts == self._plan.last else packet.duration or 0
        if self._must_fit and self._own is not None:
            packet = fit(packet, self._own, self._header)
        self._writer.video(packet, self._scale(pts), self._scale.span(shown_for))
        self._writer.copied += 1
        self.times.append(pts)


def fit(packet: "Packet[Any]", own: Bitstream, header: Header) -> "Packet[Any]":
    """The packet as the file's stream is written: its lengths or start codes, and parameter sets where they are due."""
    if header.bitstream is None:
        return packet
    sets_due = header.in_band and packet.is_keyframe
    if own.length_size == header.bitstream.length_size and not sets_due:
        return packet
    units = own.units(bytes(packet))
    if sets_due:
        units = [*(unit for unit in own.sets if unit not in units), *units]
    return replaced(packet, header.bitstream.packed(units))


def replaced(packet: "Packet[Any]", data: bytes) -> "Packet[Any]":
    """Another packet of the same times."""
    other: Packet[Any] = NewPacket(data)
    other.pts, other.dts, other.duration, other.time_base = packet.pts, packet.dts, packet.duration, packet.time_base
    other.is_keyframe = packet.is_keyframe
    return other
