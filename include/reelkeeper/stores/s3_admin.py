"""Looking after a bucket of the S3 protocol by way of boto3's client: its lifecycle rules, its CORS rules, its health.

Rules that others made are kept; ours are known by their ids.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from reelkeeper.errors import PermanentError, ReelkeeperError, StoreUnavailable
from reelkeeper.stores.protocols import KEPT_VERSIONS, Change, Check
from reelkeeper.stores.rights import cure_of, try_out
from reelkeeper.stores.s3_errors import boto3_errors, boto3_refusal

_OURS = "reelkeeper-"
_MOST_SKEW = timedelta(minutes=5)
"""Servers refuse signatures from 15 minutes on; a clock that is 5 minutes off is about to be."""
_ABSENT = ("NoSuchLifecycleConfiguration", "NoSuchCORSConfiguration")


class Bucket:
    """One bucket. All methods raise the core's errors."""

    def __init__(self, client: Any, store: str, bucket: str) -> None:
        self._client = client
        self._store = store
        self._bucket = bucket

    # --- rules --------------------------------------------------------------------------------------------------------

    def ensure_lifecycle(self, *, temp_days: int) -> list[Change]:
        """What is under temp/ leaves after `temp_days`, an upload that was not completed after a day.

        Each rule is set by itself, since a server may know one and not the other.
        """
        return [
            self._ensure("lifecycle rule", rule, self._lifecycle_rules, self._put_lifecycle)
            for rule in (_temp_rule(temp_days), _UPLOADS_RULE)
        ]

    def ensure_cors(self, origins: Sequence[str]) -> list[Change]:
        """Web pages of `origins` may read objects. Nothing is asked for, and nothing changed, without origins."""
        if not origins:
            return []
        rule = {"ID": f"{_OURS}cors", "AllowedMethods": ["GET", "HEAD"], "AllowedOrigins": list(origins),
                "AllowedHeaders": ["*"], "ExposeHeaders": ["ETag", "Content-Length", "Content-Range"],
                "MaxAgeSeconds": 3600}  # fmt: skip
        return [self._ensure("CORS rule", rule, self._cors_rules, self._put_cors)]

    def _ensure(
        self,
        what: str,
        rule: dict[str, Any],
        get: Callable[[], list[dict[str, Any]]],
        put: Callable[[list[dict[str, Any]]], None],
    ) -> Change:
        name = f"{what} {rule['ID']!r}"
        try:
            rules = get()
            found = _of_id(rules, rule["ID"])
            if found is not None and _meaning(found) == _meaning(rule):
                return Change(name, changed=False)
            put([other for other in rules if other is not found] + [rule])
        except PermanentError as exc:
            return Change(f"{name} could not be set: {exc}", changed=False)
        return Change(name if found is None else f"{name}, which was {_text(found)}: it is {_text(rule)}", changed=True)

    def _lifecycle_rules(self) -> list[dict[str, Any]]:
        answer = self._get("get_bucket_lifecycle_configuration")
        return list(answer.get("Rules", []))

    def _put_lifecycle(self, rules: list[dict[str, Any]]) -> None:
        minimum = self._get("get_bucket_lifecycle_configuration").get("TransitionDefaultMinimumObjectSize")
        kept = {"TransitionDefaultMinimumObjectSize": minimum} if minimum else {}  # not sent, it would be reset
        with boto3_errors(self._store, "set lifecycle rules"):
            self._client.put_bucket_lifecycle_configuration(
                Bucket=self._bucket, LifecycleConfiguration={"Rules": rules}, **kept
            )

    def _cors_rules(self) -> list[dict[str, Any]]:
        return list(self._get("get_bucket_cors").get("CORSRules", []))

    def _put_cors(self, rules: list[dict[str, Any]]) -> None:
        with boto3_errors(self._store, "set CORS rules"):
            self._client.put_bucket_cors(Bucket=self._bucket, CORSConfiguration={"CORSRules": rules})

    def _get(self, operation: str) -> dict[str, Any]:
        from botocore.exceptions import ClientError

        with boto3_errors(self._store, operation.replace("_", " ")):
            try:
                return dict(getattr(self._client, operation)(Bucket=self._bucket))
            except ClientError as exc:
                if boto3_refusal(exc).code in _ABSENT:
                    return {}
                raise

    # --- health -------------------------------------------------------------------------------------------------------

    def clock(self) -> datetime:
        """The server's time, of the second that its answer was made in. It is told even to those whom it refuses."""
        from botocore.exceptions import ClientError

        with boto3_errors(self._store, "ask for the time"):
            try:
                answer = self._client.head_bucket(Bucket=self._bucket)
            except ClientError as exc:
                if boto3_refusal(exc).status >= 500:
                    raise
                answer = exc.response
        stamp = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
        if stamp is None:
            raise StoreUnavailable(f"store {self._store!r} does not tell the time: expected an answer with a Date")
        return parsedate_to_datetime(stamp).astimezone(UTC)

    def check_clock(self) -> Check:
        """How far the server's clock is from ours."""
        try:
            skew = self.clock() - datetime.now(UTC)
        except ReelkeeperError as exc:
            return Check("clock", False, str(exc), cure_of(exc))
        detail = f"the server's clock is {skew.total_seconds():+.0f} s from ours"
        cure = f"set the clocks by NTP: expected less than {_MOST_SKEW.total_seconds():.0f} s"
        return Check("clock", abs(skew) <= _MOST_SKEW, detail, cure)

    def check_rules(self, *, temp_days: int) -> Iterator[Check]:
        """Versioning, and whether our lifecycle rules are as `set_up` makes them."""
        yield try_out("versioning", self._versioning)
        cure = "run the DAG setup_estate, which sets it right, or make a rule that expires temp/"
        yield self._check_rule("lifecycle", lambda: self._look_at_temp(_temp_rule(temp_days)), cure)
        yield self._check_rule("uploads", self._look_at_uploads, "run the DAG setup_estate, which sets it right")

    def _check_rule(self, what: str, look: Callable[[], str], cure: str) -> Check:
        found = try_out(what, look)
        return Check(what, found.ok, found.detail, "" if found.ok else cure)

    def _versioning(self) -> str:
        status = str(self._get("get_bucket_versioning").get("Status", "off"))
        return f"{status.lower()}{f'; {KEPT_VERSIONS}' if status == 'Enabled' else ''}"

    def keeps_versions(self) -> bool:
        """Whether the old versions of objects are kept."""
        return bool(self._get("get_bucket_versioning").get("Status") == "Enabled")

    def _look_at_temp(self, ours: Mapping[str, Any]) -> str:
        rules = self._lifecycle_rules()
        if (found := _of_id(rules, ours["ID"])) is not None:
            return _require_same(found, ours)
        for rule in rules:  # somebody who may do so made it for us
            if rule.get("Status") == "Enabled" and "Expiration" in rule and _prefix(rule) in ("temp/", "temp", ""):
                return f"rule {rule.get('ID', '')!r} expires temp/"
        raise ReelkeeperError("no lifecycle rule expires temp/")

    def _look_at_uploads(self) -> str:
        found = _of_id(self._lifecycle_rules(), _UPLOADS_RULE["ID"])
        if found is None:  # the server may not know such rules
            return "no lifecycle rule aborts uploads: the DAG enforce_retention does"
        return _require_same(found, _UPLOADS_RULE)


# --- rules ------------------------------------------------------------------------------------------------------------


def _temp_rule(temp_days: int) -> dict[str, Any]:
    return {"ID": f"{_OURS}temp", "Status": "Enabled", "Filter": {"Prefix": "temp/"},
            "Expiration": {"Days": temp_days}}  # fmt: skip


_UPLOADS_RULE: dict[str, Any] = {"ID": f"{_OURS}uploads", "Status": "Enabled", "Filter": {"Prefix": ""},
                 "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}}  # fmt: skip


def _of_id(rules: Sequence[dict[str, Any]], name: str) -> dict[str, Any] | None:
    return next((rule for rule in rules if rule.get("ID") == name), None)


def _prefix(rule: Mapping[str, Any]) -> str:
    return str(rule.get("Filter", {}).get("Prefix", rule.get("Prefix", "")))


def _meaning(rule: Mapping[str, Any]) -> dict[str, Any]:
    """What a rule says, however the server spells it: an empty prefix may come back as no filter at all."""
    others = {name: value for name, value in rule.get("Filter", {}).items() if name != "Prefix"}
    rest = {name: value for name, value in rule.items() if name not in ("ID", "Filter", "Prefix")}
    return {**rest, **others, "Prefix": _prefix(rule)}


def _text(rule: Mapping[str, Any]) -> str:
    return json.dumps(_meaning(rule), sort_keys=True, default=str)


def _require_same(found: Mapping[str, Any], ours: Mapping[str, Any]) -> str:
    if _meaning(found) != _meaning(ours):
        raise ReelkeeperError(f"rule {ours['ID']!r} was changed: it is {_text(found)}, expected {_text(ours)}")
    return f"rule {ours['ID']!r} is as set up"
