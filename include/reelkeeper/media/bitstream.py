"""What the bytes of H.264 and HEVC pictures say: where decoding can start, and by which parameter sets.

Sources: ITU-T H.264 7.3 and H.265 7.3 (NAL units, parameter sets, recovery point SEI), ISO/IEC 14496-15 (avcC, hvcC).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

Access = Literal["closed", "open", "none"]
"""How decoding can start at a picture. `closed`: everything after it in the stream is decodable. `open`: all but what
is shown before it (its leading pictures, which lean on what came earlier). `none`: it cannot start there."""
_START_CODE = b"\x00\x00\x00\x01"
_H264_SETS, _HEVC_SETS = {7, 8, 13}, {32, 33, 34}
_BLA_WITHOUT_LEADING = 18


@dataclass(frozen=True, slots=True)
class Bitstream:
    """How one stream of H.264 or HEVC is written: `length_size` bytes before each unit, or start codes (0)."""

    codec: str
    extradata: bytes
    length_size: int
    sets: tuple[bytes, ...]  # parameter sets of the header

    def units(self, data: bytes) -> list[bytes]:
        """The NAL units of a packet."""
        return list(_split(data, self.length_size))

    def packed(self, units: Iterable[bytes]) -> bytes:
        """NAL units as a packet of this stream."""
        if not self.length_size:
            return b"".join(_START_CODE + unit for unit in units)
        return b"".join(len(unit).to_bytes(self.length_size) + unit for unit in units)

    def access(self, data: bytes) -> Access:
        """Whether decoding can start with this packet."""
        for unit in self.units(data):
            kind = self.kind(unit)
            if self.codec == "hevc":
                if 16 <= kind <= 20:
                    return "closed"
                if kind == 21:
                    return "open"
                if kind < 16:
                    return "none"
            elif kind == 5:
                return "closed"
            elif kind == 6 and _recovers_at_once(unit):
                return "open"
            elif kind == 1:
                return "none"
        return "none"

    def kind(self, unit: bytes) -> int:
        """The NAL unit's type."""
        return (unit[0] >> 1) & 63 if self.codec == "hevc" else unit[0] & 31

    def is_set(self, unit: bytes) -> bool:
        return self.kind(unit) in (_HEVC_SETS if self.codec == "hevc" else _H264_SETS)

    def starting_anew(self, data: bytes) -> bytes:
        """The packet of an `open` HEVC picture, as one whose leading pictures were cut away (a BLA picture)."""
        units = self.units(data)
        if self.codec == "hevc":
            units = [
                bytes([unit[0] & 0x81 | _BLA_WITHOUT_LEADING << 1]) + unit[1:] if self.kind(unit) == 21 else unit
                for unit in units
            ]
        return self.packed(units)

    def between_start_codes(self) -> "Bitstream":
        """The same stream, written with start codes."""
        return Bitstream(self.codec, b"".join(_START_CODE + unit for unit in self.sets), 0, self.sets)

    def set_ids(self) -> dict[tuple[int, int], bytes]:
        """The parameter sets of the header by type and id."""
        return {(self.kind(unit), _set_id(self.codec, self.kind(unit), unit)): unit for unit in self.sets}

    def joined(self, other: "Bitstream") -> "Bitstream | None":
        """A header for both streams. None when an id means two things, or the codec keeps no two sets of each."""
        own, more = self.set_ids(), other.set_ids()
        if any(own.get(key, unit) != unit for key, unit in more.items()):
            return None
        added = [unit for key, unit in more.items() if key not in own]
        if not added:
            return self
        if self.codec != "h264":
            return None
        return described(self.codec, self._with_sets(added))

    def _with_sets(self, added: list[bytes]) -> bytes:
        if not self.length_size:
            return self.extradata + self.packed(added)
        sequence = [unit for unit in (*self.sets, *added) if self.kind(unit) == 7]
        picture = [unit for unit in (*self.sets, *added) if self.kind(unit) == 8]
        _, tail = _avc_parts(self.extradata)
        return (
            self.extradata[:5] + bytes([0xE0 | len(sequence)]) + _counted(sequence)
            + bytes([len(picture)]) + _counted(picture) + tail
        )  # fmt: skip


def described(codec: str, extradata: bytes | None) -> Bitstream:
    """A stream by its codec and header: avcC, hvcC, or sets between start codes."""
    data = extradata or b""
    if not data or data[0] != 1 or data[:3] == b"\x00\x00\x01":
        return _only_sets(Bitstream(codec, data, 0, tuple(_split(data, 0))))
    if codec == "hevc":
        return _only_sets(Bitstream(codec, data, (data[21] & 3) + 1, tuple(_hevc_sets(data))))
    return Bitstream(codec, data, (data[4] & 3) + 1, tuple(_avc_parts(data)[0]))


def _only_sets(stream: Bitstream) -> Bitstream:
    """Headers may hold supplemental messages, too: what an encoder says of itself."""
    return replace(stream, sets=tuple(unit for unit in stream.sets if stream.is_set(unit)))


def _split(data: bytes, length_size: int) -> Iterator[bytes]:
    if not length_size:
        for part in data.split(b"\x00\x00\x01")[1:]:
            if unit := part.rstrip(b"\x00"):
                yield unit
        return
    position = 0
    while position + length_size < len(data):
        length = int.from_bytes(data[position : position + length_size])
        position += length_size
        if length:
            yield data[position : position + length]
        position += length


def _counted(units: list[bytes]) -> bytes:
    return b"".join(len(unit).to_bytes(2) + unit for unit in units)


def _avc_parts(data: bytes) -> tuple[list[bytes], bytes]:
    """The sets of an avcC, and what follows them: the extension of the high profiles."""
    sets, position = [], 5
    for mask in (31, 255):
        count = data[position] & mask
        position += 1
        for _ in range(count):
            length = int.from_bytes(data[position : position + 2])
            sets.append(data[position + 2 : position + 2 + length])
            position += 2 + length
    return sets, data[position:]


def _hevc_sets(data: bytes) -> Iterator[bytes]:
    position = 23
    for _ in range(data[22]):
        count = int.from_bytes(data[position + 1 : position + 3])
        position += 3
        for _ in range(count):
            length = int.from_bytes(data[position : position + 2])
            yield data[position + 2 : position + 2 + length]
            position += 2 + length


def _recovers_at_once(sei: bytes) -> bool:
    """Whether a supplemental message says that every picture from here on is right: recovery_frame_cnt is 0."""
    data = sei[1:].replace(b"\x00\x00\x03", b"\x00\x00")
    position = 0
    while position + 2 < len(data):
        kind, position = _sei_number(data, position)
        size, position = _sei_number(data, position)
        if kind == 6:
            return position < len(data) and bool(data[position] & 0x80)
        position += size
    return False


def _sei_number(data: bytes, position: int) -> tuple[int, int]:
    value = 0
    while position < len(data) and data[position] == 255:
        value, position = value + 255, position + 1
    return value + (data[position] if position < len(data) else 0), position + 1


def _set_id(codec: str, kind: int, unit: bytes) -> int:
    data = unit.replace(b"\x00\x00\x03", b"\x00\x00")
    if codec == "hevc":
        if kind == 32:
            return data[2] >> 4
        if kind == 33:
            return _hevc_sequence_id(data)
        return _exp_golomb(data, 16)
    return _exp_golomb(data, 32 if kind == 7 else 8)


def _hevc_sequence_id(data: bytes) -> int:
    sub_layers = data[2] >> 1 & 7
    bits = 24 + 96  # header, ids; general profile, tier and level
    if sub_layers:
        present = int.from_bytes(data[bits // 8 : bits // 8 + 2])
        bits += 16
        for layer in range(sub_layers):
            bits += 88 if present >> (15 - 2 * layer) & 1 else 0
            bits += 8 if present >> (14 - 2 * layer) & 1 else 0
    return _exp_golomb(data, bits)


def _exp_golomb(data: bytes, bit: int) -> int:
    bits = "".join(f"{byte:08b}" for byte in data[bit // 8 : bit // 8 + 9])[bit % 8 :]
    zeros = bits.index("1")
    return int(bits[zeros : 2 * zeros + 1], 2) - 1
