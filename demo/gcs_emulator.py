"""gcp-storage-emulator, with storage classes as Google's service has them.

A rewrite moves an object into the class that it names, else into the standard one, and of the object's metadata it
keeps what the request says again.

Run it with the arguments of the emulator's own program.
"""

import sys
from http import HTTPStatus
from typing import Any

from gcp_storage_emulator.handlers import objects

_CLASSES = ("STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE")
_TOLD = ("metadata", "contentType", "cacheControl")
_rewrite = objects.rewrite


def rewrite(request: Any, response: Any, storage: Any, *args: Any, **kwargs: Any) -> None:
    """In place of the emulator's, which ignores what the request says about the new object."""
    asked = {name: value for name, value in (request.data or {}).items() if name in (*_TOLD, "storageClass")}
    storage_class = asked.get("storageClass", _CLASSES[0])
    if storage_class not in _CLASSES:
        message = f"Invalid argument: storage class {storage_class!r}"
        response.status = HTTPStatus.BAD_REQUEST
        response.json(
            {"error": {"code": 400, "message": message, "errors": [{"reason": "invalid", "message": message}]}}
        )
        return
    _rewrite(request, response, storage, *args, **kwargs)
    if response.status == HTTPStatus.OK:
        place = request.params["dest_bucket_name"], request.params["dest_object_id"]
        found = storage.get_file_obj(*place)
        kept = {name: value for name, value in found.items() if not asked or name not in _TOLD}
        storage.patch_object(*place, {**kept, **asked, "storageClass": storage_class})


objects.rewrite = rewrite  # before the server, which keeps the function itself, is imported

if __name__ == "__main__":
    from gcp_storage_emulator.__main__ import main

    sys.exit(main())
