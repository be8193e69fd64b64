"""Objects of stores that sign no URLs themselves, by links of our own (`reelkeeper.stores.own_links`).

The token in a link is all that is asked for: whoever has it may do the one thing that it was made for.
"""

import hashlib
import mimetypes
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import IO, Annotated, Protocol, cast

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from fastapi.responses import FileResponse
from starlette.concurrency import run_in_threadpool

from reelkeeper.errors import (
    AccessDenied,
    ConfigurationError,
    InvalidKey,
    ObjectExists,
    ObjectNotFound,
    ReelkeeperError,
    StoreFull,
)
from reelkeeper.model import Key, Sha256, StoreName, canonical_key
from reelkeeper.stores.body import CHUNK_BYTES, Body
from reelkeeper.stores.own_links import Linked, Method
from reelkeeper.stores.protocols import Links, Store
from reelkeeper.stores.signing import as_attachment
from reelkeeper_airflow.estate import current_estate, open_store
from reelkeeper_airflow.urls import own_links


def _comes_by_link(request: Request) -> None:
    """401 for who has no link at all, whatever else is asked."""
    if not {"expires", "token"} <= request.query_params.keys():
        raise HTTPException(401, "expected a link that was made here, with its 'expires' and 'token'")


router = APIRouter(dependencies=[Depends(_comes_by_link)])

_SHOWN = {".m3u8": "application/vnd.apple.mpegurl", ".m4s": "video/iso.segment", ".mkv": "video/x-matroska",
          ".mpd": "application/dash+xml", ".ts": "video/mp2t"}  # fmt: skip
"""What players ask for, by its suffix, beside what is video, audio or a picture."""
_SHOWN_KINDS = ("video/", "audio/", "image/jpeg", "image/png", "image/webp")


def _linked(
    request: Request,
    store: str,
    key: str,
    expires: int,
    token: str,
    filename: Annotated[str | None, Query(max_length=255)] = None,
) -> Linked:
    """What a request's link is good for; 403 when it is not."""
    method: Method = "PUT" if request.method == "PUT" else "GET"
    linked = Linked(method, StoreName(store), Key(key), expires, filename)
    with _refusals(key):
        own_links().check(linked, token, now=datetime.now(UTC))
    return linked


@router.api_route("/objects/{store}/{key:path}", methods=["GET", "HEAD"])
def read_object(request: Request, linked: Annotated[Linked, Depends(_linked)]) -> FileResponse:
    """The object, or the part of it that header Range asks for. 403, 404; 503 when its store does not answer."""
    with _refusals(linked.key):
        store = _store_on_disk(linked.store)
        store.stat(linked.key)
        path = store.path_of(linked.key)
    settings = current_estate().store(linked.store)
    media_type = _SHOWN.get(path.suffix.lower()) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    is_shown = path.suffix.lower() in _SHOWN or media_type.startswith(_SHOWN_KINDS)
    headers = {
        "Cache-Control": settings.cache_control,
        # Nothing that was uploaded may run as a page of Airflow's own.
        "Content-Security-Policy": "sandbox; default-src 'none'; media-src 'self'; img-src 'self'",
        "X-Content-Type-Options": "nosniff",
    }
    if linked.filename is not None or not is_shown:
        headers["Content-Disposition"] = as_attachment(linked.filename or path.name)
    if (origin := request.headers.get("origin")) in settings.cors_origins and origin:
        headers |= {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}
    return FileResponse(path, media_type=media_type, headers=headers)


@router.put("/objects/{store}/{key:path}", status_code=201)
async def write_object(request: Request, linked: Annotated[Linked, Depends(_linked)]) -> Response:
    """Take a new object: 201. 403 outside `upload_prefixes`; 409 when there is one; 413 when it is too large; 503, 507
    when its store cannot take it now.
    """
    delivery = current_estate().delivery
    if not linked.key.startswith(delivery.upload_prefixes):  # the link may be older than the setting
        raise HTTPException(403, "objects are not uploaded there")
    with _refusals(linked.key), tempfile.TemporaryFile() as file:
        store = await run_in_threadpool(_store_on_disk, linked.store)
        if await run_in_threadpool(lambda: store.key_of(store.path_of(linked.key))) != linked.key:
            raise InvalidKey(f"key {linked.key!r} leads through a link: expected a folder of the store itself")
        body = await _received(request, file, delivery.largest_upload)
        await run_in_threadpool(store.write, linked.key, body)
    return Response(status_code=201)


async def _received(request: Request, file: IO[bytes], most_bytes: int) -> Body:
    """What a request brings, kept in a temporary file: a store takes only what is known whole."""
    announced = request.headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > most_bytes:
        raise HTTPException(413, f"expected at most {most_bytes} bytes")
    digest, size_bytes = hashlib.sha256(), 0
    async for chunk in request.stream():
        size_bytes += len(chunk)
        if size_bytes > most_bytes:
            raise HTTPException(413, f"expected at most {most_bytes} bytes")
        digest.update(chunk)
        try:
            await run_in_threadpool(file.write, chunk)
        except OSError as exc:
            raise StoreFull(f"no space for an upload of {size_bytes} bytes: {exc.strerror}") from exc

    def again() -> Iterator[bytes]:
        file.seek(0)
        return iter(lambda: file.read(CHUNK_BYTES), b"")

    return Body(size_bytes, Sha256(digest.hexdigest()), again)


class _DiskStore(Store, Links, Protocol):
    """A store whose objects are files that this machine sees."""


def _store_on_disk(name: str) -> _DiskStore:
    store = open_store(name)
    if not isinstance(store, Links):
        raise ConfigurationError(f"store {name!r} of kind {str(store.kind)!r}: expected one that signs no URLs itself")
    return cast("_DiskStore", store)


@contextmanager
def _refusals(key: str) -> Iterator[None]:
    """Errors as answers, which tell nothing of the estate."""
    try:
        canonical_key(key)
        yield
    except AccessDenied as exc:
        raise HTTPException(403, str(exc)) from exc
    except ObjectExists as exc:
        raise HTTPException(409, f"there is an object {key!r} already") from exc
    except InvalidKey as exc:
        raise HTTPException(400, f"{key!r} is no object's key") from exc
    except ObjectNotFound as exc:
        raise HTTPException(404, f"there is no object {key!r}") from exc
    except StoreFull as exc:
        raise HTTPException(507, "there is no space left") from exc
    except ReelkeeperError as exc:
        raise HTTPException(503, f"object {key!r} cannot be reached now: {exc.code}") from exc
