"""Whether a file ends where its own structure says, found from a few headers without reading the footage.

A copy that broke off leaves such a file: the demuxer would open it, and say the duration that it should have had.
Transport streams and raw streams have no such structure: what is there can be played, and is measured.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from reelkeeper.errors import InvalidFootage

_EBML_MAGIC, _MATROSKA_SEGMENT = 0x1A45DFA3, 0x18538067
_BOX_TYPES = {
    b"ftyp", b"moov", b"mdat", b"moof", b"free", b"skip", b"wide", b"styp", b"sidx", b"mfra", b"uuid", b"pdin", b"meta",
    b"emsg", b"prft", b"udta",
}  # fmt: skip
_FOOTAGE_BOXES = {b"moov", b"mdat", b"moof"}


@dataclass(frozen=True, slots=True)
class _Box:
    kind: bytes
    end: int  # offset of the first byte after it; may lie beyond the file


def check_complete(path: Path, size_bytes: int) -> None:
    """InvalidFootage `empty` or `truncated` when the file, of `size_bytes`, cannot be whole.

    MP4 and MOV: a box reaches beyond the end, or footage has no index (`moov`). Matroska and WebM: the segment reaches
    beyond the end. AVI: the first RIFF chunk does. Any other file passes: only a probe can tell.
    """
    if size_bytes == 0:
        raise InvalidFootage("file has 0 bytes: expected footage", code="empty")
    with path.open("rb") as file:
        head = file.read(12)
        if head[4:8] in _BOX_TYPES:
            _check_boxes(file, size_bytes)
        elif int.from_bytes(head[:4]) == _EBML_MAGIC:
            _check_matroska(file, size_bytes)
        elif head[:4] == b"RIFF" and head[8:12] == b"AVI ":
            _expect_end("RIFF chunk", 8 + int.from_bytes(head[4:8], "little"), size_bytes)


def _expect_end(what: str, end: int, size_bytes: int) -> None:
    if end > size_bytes:
        raise InvalidFootage(
            f"file has {size_bytes} bytes, but its {what} ends at byte {end}: expected a whole file", code="truncated"
        )


def _check_boxes(file: BinaryIO, size_bytes: int) -> None:
    kinds = set()
    for box in _boxes(file, size_bytes):
        kinds.add(box.kind)
        if box.kind in _FOOTAGE_BOXES:  # what some recorders leave after the footage does not matter
            _expect_end(f"box {box.kind.decode()!r}", box.end, size_bytes)
    if b"moov" not in kinds:
        raise InvalidFootage(
            f"file of {size_bytes} bytes has no 'moov' box, the index of its footage: expected a whole file",
            code="truncated",
        )


def _boxes(file: BinaryIO, size_bytes: int) -> Iterator[_Box]:
    """The top-level boxes, until the file ends or no box follows."""
    offset = 0
    while offset + 8 <= size_bytes:
        file.seek(offset)
        header = file.read(16)
        length, kind = int.from_bytes(header[:4]), header[4:8]
        if length == 1:  # a 64-bit length follows
            length = int.from_bytes(header[8:16])
        elif length == 0:  # up to the file's end
            length = size_bytes - offset
        if length < 8:
            return
        yield _Box(kind, offset + length)
        offset += length


def _check_matroska(file: BinaryIO, size_bytes: int) -> None:
    offset = 4
    header_size, header_width = _vint(file, offset)
    if header_size is None:
        return
    offset += header_width + header_size
    file.seek(offset)
    if int.from_bytes(file.read(4)) != _MATROSKA_SEGMENT:
        return
    length, width = _vint(file, offset + 4)
    if length is not None:  # None: a live recorder did not know it
        _expect_end("segment", offset + 4 + width + length, size_bytes)


def _vint(file: BinaryIO, offset: int) -> tuple[int | None, int]:
    """An EBML length at `offset` and its width in bytes; None for 'unknown' and for what is not one."""
    file.seek(offset)
    data = file.read(8)
    if not data or data[0] == 0:
        return None, 1
    width = 9 - data[0].bit_length()
    value = int.from_bytes(data[:width]) & ((1 << 7 * width) - 1)
    return (None if value == (1 << 7 * width) - 1 else value), width
