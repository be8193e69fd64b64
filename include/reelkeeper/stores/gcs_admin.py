"""Looking after a bucket of Google Cloud Storage: lifecycle, CORS, health. Rules that others made are kept."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reelkeeper.errors import ReelkeeperError
from reelkeeper.stores.gcs_errors import gcs_errors
from reelkeeper.stores.protocols import Change, Check
from reelkeeper.stores.rights import try_out

_UPLOADS = {"action": {"type": "AbortIncompleteMultipartUpload"}, "condition": {"age": 1}}
_MARK = "x-reelkeeper"
"""A response header that no one sends: rules have no names here, and ours is known by it."""


def ensure_rules(bucket: Any, how: Mapping[str, Any], *, temp_days: int, cors_origins: Sequence[str]) -> list[Change]:
    """What is under temp/ leaves after `temp_days`, an XML multipart upload that was not completed after a day, and web
    pages of `cors_origins` may read. The client's errors pass through.
    """
    bucket.reload(**how)
    temp = {"action": {"type": "Delete"}, "condition": {"age": temp_days, "matchesPrefix": ["temp/"]}}
    found = [dict(rule) for rule in bucket.lifecycle_rules]
    rules = [rule for rule in found if not _expires_temp(rule) and rule != _UPLOADS] + [temp, _UPLOADS]
    cors = {"origin": list(cors_origins), "method": ["GET", "HEAD"], "maxAgeSeconds": 3600,
            "responseHeader": ["Content-Type", "Content-Length", "Content-Range", _MARK]}  # fmt: skip
    cors_found = list(bucket.cors)
    cors_rules = [rule for rule in cors_found if _MARK not in rule.get("responseHeader", ())] + [cors] * bool(
        cors_origins
    )
    changed = not _same(found, rules), not _same(cors_found, cors_rules)
    if changed[0]:
        bucket.lifecycle_rules = rules
    if changed[1]:
        bucket.cors = cors_rules
    if any(changed):
        bucket.patch(**how)
    changes = [Change("lifecycle rules of temp/ and of uploads", changed[0])]
    return [*changes, Change("CORS rule", changed[1])] if cors_origins else changes


def check(store: str, bucket: Any, how: Mapping[str, Any]) -> Iterator[Check]:
    """The rule for temp/ and versioning."""

    def look() -> str:
        with gcs_errors(store, "look at the bucket's rules"):
            bucket.reload(**how)
        if not any(_expires_temp(dict(rule)) for rule in bucket.lifecycle_rules):
            raise ReelkeeperError("no lifecycle rule expires temp/")
        return "temp/ expires; versioning is " + ("enabled" if bucket.versioning_enabled else "off")

    found = try_out("lifecycle", look)
    cure = "grant storage.buckets.get, and run the DAG setup_estate"
    yield Check(found.what, found.ok, found.detail, "" if found.ok else cure)


def _expires_temp(rule: Mapping[str, Any]) -> bool:
    condition = rule.get("condition", {})
    return rule.get("action") == {"type": "Delete"} and condition.get("matchesPrefix") == ["temp/"]


def _same(some: list[Any], others: list[Any]) -> bool:
    return len(some) == len(others) and all(rule in others for rule in some)
