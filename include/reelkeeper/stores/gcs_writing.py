"""How bytes get into a bucket of Google Cloud Storage. Requests carry CRC32C."""

import sys
from collections.abc import Iterator
from typing import Any

from reelkeeper.stores.body import Body, BodyFailed

TIMEOUT = (5, 120)
"""Seconds to connect, and between two reads."""
SINGLE_REQUEST_BYTES = 8 * 2**20
CHUNK_BYTES = 16 * 2**20
"""Of a resumable upload; it is what a write holds in memory."""
_SLOWEST_BYTES_PER_SECOND = 16 * 2**10
"""Of a request that sends: all transfers share the uplink."""


def upload(blob: Any, body: Body, content_type: str) -> None:
    """Send the body, all or nothing, where no object may be yet. The client's errors pass through, and the body's.

    A small body is proved whole before the request; a large one holds back its last bytes until it is.
    """
    is_small = body.size_bytes <= SINGLE_REQUEST_BYTES
    source = _Reader(_whole(body) if is_small else body.chunks())
    try:
        if is_small:
            source.fill()
        blob.upload_from_file(
            source,
            size=body.size_bytes,
            content_type=content_type,
            if_generation_match=0,
            checksum="crc32c",
            timeout=_timeout(body.size_bytes),
            retry=None,
        )
    except Exception:
        if source.error:  # the body's error is the caller's, not the store's
            raise BodyFailed(source.error) from None
        raise


def rewrite(source: Any, target: Any, *, if_generation_match: int) -> None:
    """Copy at the server, in as many requests as it wants. The client's errors pass through."""
    token = None
    while True:
        token, _, _ = target.rewrite(
            source, token=token, if_generation_match=if_generation_match, timeout=TIMEOUT, retry=None
        )
        if token is None:
            return


def _timeout(size_bytes: int) -> tuple[float, float]:
    """As TIMEOUT. What bounds a connection here bounds the sending of a whole request as well, which takes longer."""
    connect, read = TIMEOUT
    return connect + min(size_bytes, CHUNK_BYTES) / _SLOWEST_BYTES_PER_SECOND, read


def _whole(body: Body) -> Iterator[bytes]:
    yield body.whole()


class _Reader:
    """Chunks as the file that google-cloud-storage reads from. `error` is what the chunks raised."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""
        self._position = 0
        self.error: Exception | None = None

    def fill(self) -> None:
        """Fetch the first chunk now."""
        self._rest = self._next()

    def tell(self) -> int:
        return self._position

    def read(self, size: int = -1) -> bytes:
        parts, missing = [], size if size >= 0 else sys.maxsize
        while missing:
            if not self._rest:
                self._rest = self._next()
                if not self._rest:
                    break
            part, self._rest = self._rest[:missing], self._rest[missing:]
            parts.append(part)
            missing -= len(part)
        data = b"".join(parts)
        self._position += len(data)
        return data

    def _next(self) -> bytes:
        try:
            return next((chunk for chunk in self._chunks if chunk), b"")
        except Exception as exc:
            self.error = exc
            raise
