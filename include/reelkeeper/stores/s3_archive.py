"""Objects in Glacier: whether they can be read, and asking for a copy that can be, by way of boto3's client."""

import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

from reelkeeper.errors import ConfigurationError
from reelkeeper.model import Key
from reelkeeper.stores.protocols import Readability, RestoreSpeed
from reelkeeper.stores.s3_copying import class_of
from reelkeeper.stores.s3_errors import boto3_errors, boto3_refusal

_ARCHIVES = ("GLACIER", "DEEP_ARCHIVE")
"""Classes that must be restored. GLACIER_IR, whatever its name, is read as it is."""
_DEEP = ("DEEP_ARCHIVE", "DEEP_ARCHIVE_ACCESS")


def readability(head: Mapping[str, Any]) -> Readability:
    """What boto3's answer to a HEAD says. An object of intelligent tiering may have been archived by its bucket."""
    if restored := head.get("Restore"):
        if re.search(r'ongoing-request="true"', restored):
            return Readability("restoring")
        expiry = re.search(r'expiry-date="([^"]+)"', restored)
        return Readability("readable", parsedate_to_datetime(expiry[1]).astimezone(UTC) if expiry else None)
    if class_of(head) in _ARCHIVES or head.get("ArchiveStatus"):
        return Readability("archived")
    return Readability("readable")


def restore(
    client: Any, store: str, bucket: str, key: Key, head: Mapping[str, Any], *, days: int, speed: RestoreSpeed
) -> None:
    """Ask for a copy that can be read for so many days; see the protocol Restores.

    Nothing is asked for of an object that needs no restore, nor of one whose restore is under way: to ask again at
    another speed would be billed again.
    """
    from botocore.exceptions import ClientError

    found = readability(head)
    if found.state == "restoring" or (found.state == "readable" and found.until is None):
        return
    archive = head.get("ArchiveStatus") or class_of(head)
    if speed == "expedited" and archive in _DEEP:
        raise ConfigurationError(
            f"store {store!r} cannot restore {key!r} at speed {speed!r}: class {archive!r} has 'standard' and 'bulk'"
        )
    request: dict[str, Any] = {"GlacierJobParameters": {"Tier": speed.capitalize()}}
    if not head.get("ArchiveStatus"):  # intelligent tiering brings it back for good
        request["Days"] = days
    with boto3_errors(store, f"restore {key!r}"):
        try:
            client.restore_object(Bucket=bucket, Key=key, RestoreRequest=request)
        except ClientError as exc:
            if boto3_refusal(exc).code != "RestoreAlreadyInProgress":
                raise
