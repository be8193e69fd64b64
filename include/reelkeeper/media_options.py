"""With which headers and storage class footage is written to a store: the same for every job that writes."""

from reelkeeper.settings import StoreSettings
from reelkeeper.stores.protocols import WriteOptions

_CONTENT_TYPES = {
    "avi": "video/x-msvideo",
    "jpg": "image/jpeg",
    "json": "application/json",
    "m3u8": "application/vnd.apple.mpegurl",
    "m4v": "video/x-m4v",
    "mkv": "video/x-matroska",
    "mov": "video/quicktime",
    "mp4": "video/mp4",
    "mpd": "application/dash+xml",
    "mts": "video/mp2t",
    "ts": "video/mp2t",
    "webm": "video/webm",
    "zip": "application/zip",
}


def media_options(store: StoreSettings, extension: str, storage_class: str | None = None) -> WriteOptions:
    """Content type by extension (without the dot), the store's cache header, and the class (None: the store's usual).

    The table is ours: `mimetypes` asks the machine, and some take .ts for a translation file.
    """
    content_type = _CONTENT_TYPES.get(extension.lower(), "application/octet-stream")
    return WriteOptions(content_type=content_type, cache_control=store.cache_control, storage_class=storage_class)
