"""The bytes on their way into a store, proved as they pass."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256 as new_sha256
from pathlib import Path

from reelkeeper.errors import SourceCorrupted
from reelkeeper.model import Sha256

CHUNK_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Body:
    """Bytes of a known size and SHA-256. `chunks` may be called more than once: each call opens the source anew."""

    size_bytes: int
    sha256: Sha256
    open: Callable[[], Iterable[bytes]]

    @classmethod
    def of_bytes(cls, data: bytes) -> "Body":
        return cls(len(data), Sha256(new_sha256(data).hexdigest()), lambda: (data,))

    @classmethod
    def of_file(cls, path: Path, *, size_bytes: int, sha256: Sha256) -> "Body":
        return cls(size_bytes, sha256, lambda: read_file(path))

    def chunks(self) -> Iterator[bytes]:
        """The bytes, hashed as they pass.

        The last chunk is held back until size and SHA-256 are known to be right; else SourceCorrupted, so that a
        destination that stores only complete uploads never holds wrong bytes.
        """
        digest, seen, held = new_sha256(), 0, None
        for chunk in self.open():
            digest.update(chunk)
            seen += len(chunk)
            if held is not None:
                yield held
            held = chunk
        if seen != self.size_bytes or digest.hexdigest() != self.sha256:
            raise SourceCorrupted(
                f"source has {seen} bytes with SHA-256 {digest.hexdigest()}: "
                f"expected {self.size_bytes} bytes with {self.sha256}"
            )
        if held is not None:
            yield held

    def whole(self) -> bytes:
        """All the bytes at once, proved. For bodies that are known to be small."""
        return b"".join(self.chunks())


class BodyFailed(Exception):
    """Carries the error of a body through a client that it was handed to, past the mapping of the client's errors."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(str(error))
        self.error = error


def read_file(path: Path, chunk_bytes: int = CHUNK_BYTES) -> Iterator[bytes]:
    """The file's bytes in chunks. FileNotFoundError and other OSErrors pass through."""
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(chunk_bytes):
            yield chunk
