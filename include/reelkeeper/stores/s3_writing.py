"""How bytes get into a bucket of the S3 protocol, by obstore. Its errors pass through, and the body's as BodyFailed."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import obstore

from reelkeeper.stores import s3_data
from reelkeeper.stores.body import Body, BodyFailed
from reelkeeper.stores.protocols import META_SHA256, WriteOptions

if TYPE_CHECKING:
    from obstore import Attributes

SINGLE_PUT_BYTES = 8 * 2**20
"""Up to this size an object goes in one request, which can refuse to overwrite; larger ones go in parts."""
PARTS_AT_ONCE = 2
"""A write holds at most one part more than this in memory."""
_MOST_PARTS = 10_000


def requests_to_write(size_bytes: int) -> int:
    """How many requests an object of this size takes: one, or its parts with one that begins and one that completes."""
    return 1 if size_bytes <= SINGLE_PUT_BYTES else -(-size_bytes // _part_bytes(size_bytes)) + 2


def _part_bytes(size_bytes: int) -> int:
    """The size that makes for no more parts than S3 takes."""
    return max(s3_data.PART_BYTES, -(-size_bytes // _MOST_PARTS))


def attributes_of(body: Body, options: WriteOptions, *, cache_control: str) -> "Attributes":
    """What is kept with the object; `cache_control` is the store's own, where the options give none."""
    attributes: Attributes = {"Cache-Control": options.cache_control or cache_control}
    if options.content_type:
        attributes["Content-Type"] = options.content_type
    if options.storage_class:
        attributes["Storage-Class"] = options.storage_class
    attributes.update(options.metadata)
    attributes[META_SHA256] = body.sha256
    return attributes


def put_at_once(
    planes: s3_data.DataPlanes, key: str, body: Body, attributes: "Attributes", *, refuse_existing: bool
) -> None:
    """One request. `refuse_existing`: the server refuses it where an object is."""
    try:
        data = body.whole()
    except Exception as exc:  # noqa: BLE001 - whatever it is, it is the caller's
        raise BodyFailed(exc) from None
    obstore.put(
        planes.brief if body.size_bytes <= s3_data.BRIEF_PUT_BYTES else planes.patient,
        key,
        data,
        attributes=attributes,
        mode="create" if refuse_existing else "overwrite",
        use_multipart=False,
    )


def put_parts(planes: s3_data.DataPlanes, key: str, body: Body, attributes: "Attributes") -> None:
    """Some parts at once, of the size that makes for no more parts than S3 takes."""
    errors: list[BaseException] = []

    def chunks() -> Iterator[bytes]:
        try:
            yield from body.chunks()
        except BaseException as exc:
            errors.append(exc)
            raise

    try:
        obstore.put(
            planes.patient,
            key,
            chunks(),
            attributes=attributes,
            use_multipart=True,
            chunk_size=_part_bytes(body.size_bytes),
            max_concurrency=PARTS_AT_ONCE,
        )
    except BaseException:
        if errors:
            raise BodyFailed(errors[0]) from None
        raise
