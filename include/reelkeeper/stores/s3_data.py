"""obstore's clients of a bucket, which move the bytes of stores that speak S3.

Requests carry CRC64NVME and leave the payload out of the signature: of all ways it costs both sides the least, and a
server that checks it (`attests_writes`) proves the bytes as well as one that checks SHA-256.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from obstore.store import S3Store as DataPlane

from reelkeeper.stores.access import S3Keys

if TYPE_CHECKING:
    from obstore.store import ClientConfig, S3Config, S3Credential

PART_BYTES = 16 * 2**20
CONNECT_TIMEOUT = timedelta(seconds=5)
READ_TIMEOUT = timedelta(seconds=120)
BRIEF_PUT_BYTES = 2**20
"""What has been sent well inside `READ_TIMEOUT` on every line that is of use."""
UPLOAD_TIMEOUT = READ_TIMEOUT + timedelta(seconds=PART_BYTES / (16 * 2**10))
"""Of a request that sends more: all transfers share the uplink, so one may come down to 16 KiB a second."""
_WHOLE_TIMEOUT = timedelta(days=1)


class DataPlanes(NamedTuple):
    """obstore's clients of a bucket. They do not retry: one policy (`retry.py`) does, or tries would multiply.

    `brief` gives up when the server is silent for `READ_TIMEOUT`. That clock also runs while a body is being sent, so
    that a slow line looks like a silent server: larger bodies go by `patient`, which only bounds each request as a
    whole by `UPLOAD_TIMEOUT`. Either notices within a minute that a host is gone: TCP's keepalive is on.
    """

    brief: DataPlane
    patient: DataPlane


def data_planes(
    bucket: str,
    *,
    endpoint_url: str | None,
    region: str,
    credentials: Callable[[], S3Keys],
) -> DataPlanes:
    """The clients of a bucket. Connects to nothing yet."""

    def provide() -> "S3Credential":
        keys = credentials()
        return {
            "access_key_id": keys.access_key,
            "secret_access_key": keys.secret_key,
            "token": keys.session_token,
            "expires_at": keys.expires_at,
        }

    config: S3Config = {
        "region": region,
        "checksum_algorithm": "crc64nvme",
        "unsigned_payload": True,
        # A dot in a bucket's name breaks the certificate of a virtual host; other servers than AWS have no such hosts.
        "virtual_hosted_style_request": endpoint_url is None and "." not in bucket,
    }
    if endpoint_url:
        config["endpoint"] = endpoint_url
    client_options: ClientConfig = {
        "allow_http": (endpoint_url or "").startswith("http://"),
        "connect_timeout": CONNECT_TIMEOUT,
    }

    def client(timeouts: "ClientConfig") -> DataPlane:
        return DataPlane(
            bucket,
            config=config,
            client_options={**client_options, **timeouts},
            credential_provider=provide,
            retry_config={"max_retries": 0},
        )

    return DataPlanes(
        brief=client({"read_timeout": READ_TIMEOUT, "timeout": _WHOLE_TIMEOUT}),  # a large object over a slow line
        patient=client({"timeout": UPLOAD_TIMEOUT}),
    )
