"""Looking after a bucket of Google Cloud Storage: lifecycle, CORS, health. Rules that others made are kept."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from google.api_core.exceptions import Conflict, from_http_response

from reelkeeper.errors import BucketOwnedByOther, ReelkeeperError
from reelkeeper.stores.gcs_errors import gcs_errors
from reelkeeper.stores.protocols import KEPT_VERSIONS, Change, Check
from reelkeeper.stores.rights import try_out

_UPLOADS = {"action": {"type": "AbortIncompleteMultipartUpload"}, "condition": {"age": 1}}
_MARK = "x-reelkeeper"
"""A response header that no one sends: rules have no names here, and our CORS rule is known by it."""


def date_of_answer(client: Any, bucket: Any, timeout: tuple[float, float]) -> str | None:
    """The Date header of an answer about the bucket. The client, whose errors pass through, shows nobody a header."""
    url = client._connection.build_api_url(  # noqa: SLF001
        f"{bucket.path}/o", query_params={"maxResults": 1, "fields": "kind"}
    )
    answer = client._http.request("GET", url, timeout=timeout)  # noqa: SLF001
    if not answer.ok:
        raise from_http_response(answer)  # type: ignore[no-untyped-call]
    date: str | None = answer.headers.get("Date")
    return date


def make_bucket(client: Any, bucket: Any, location: str | None, store: str, how: Mapping[str, Any]) -> None:
    """Make the bucket. BucketOwnedByOther; the client's other errors pass through."""
    try:
        client.create_bucket(bucket, location=location, **how)
    except Conflict as exc:
        raise BucketOwnedByOther(f"bucket {bucket.name!r} of store {store!r} belongs to another project") from exc


def ensure_rules(bucket: Any, how: Mapping[str, Any], *, temp_days: int, cors_origins: Sequence[str]) -> list[Change]:
    """What is under temp/ leaves after `temp_days`, an XML multipart upload that was not completed after a day, and web
    pages of `cors_origins` may read. The client's errors pass through.
    """
    bucket.reload(**how)
    found = [dict(rule) for rule in bucket.lifecycle_rules]
    ours = [_temp_rule(temp_days), _UPLOADS]
    rules = [rule for rule in found if not _is_ours(rule)] + ours
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
    drifted = [rule for rule in found if _is_ours(rule) and rule not in ours]
    told = f", which were {json.dumps(drifted)}: they are {json.dumps(ours)}" if drifted else ""
    changes = [Change(f"lifecycle rules of temp/ and of uploads{told}", changed[0])]
    return [*changes, Change("CORS rule", changed[1])] if cors_origins else changes


def check(store: str, bucket: Any, how: Mapping[str, Any], *, temp_days: int) -> Iterator[Check]:
    """Whether our lifecycle rules are as `set_up` makes them, and versioning."""

    def look() -> str:
        with gcs_errors(store, "look at the bucket's rules"):
            bucket.reload(**how)
        found = [dict(rule) for rule in bucket.lifecycle_rules if _is_ours(dict(rule))]
        for ours in (_temp_rule(temp_days), _UPLOADS):
            if ours not in found:
                raise ReelkeeperError(f"a lifecycle rule was changed, or is missing: expected {ours}, found {found}")
        return "temp/ expires; versioning is " + (f"enabled; {KEPT_VERSIONS}" if bucket.versioning_enabled else "off")

    found = try_out("lifecycle", look)
    cure = "grant storage.buckets.get, and run the DAG setup_estate"
    yield Check(found.what, found.ok, found.detail, "" if found.ok else cure)


def _temp_rule(temp_days: int) -> dict[str, Any]:
    return {"action": {"type": "Delete"}, "condition": {"age": temp_days, "matchesPrefix": ["temp/"]}}


def _is_ours(rule: Mapping[str, Any]) -> bool:
    """Rules have no names: ours are those that delete temp/ and nothing else, and that abort uploads by age alone."""
    condition = rule.get("condition", {})
    if rule.get("action") == _UPLOADS["action"]:
        return list(condition) == ["age"]
    return rule.get("action") == {"type": "Delete"} and condition.get("matchesPrefix") == ["temp/"]


def _same(some: list[Any], others: list[Any]) -> bool:
    return len(some) == len(others) and all(rule in others for rule in some)
