"""Looking after a bucket of the S3 protocol by way of boto3's client: its lifecycle rules, its CORS rules, its health.

Rules that others made are kept; ours are known by their ids.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from reelkeeper.errors import PermanentError, ReelkeeperError
from reelkeeper.stores.protocols import Change, Check
from reelkeeper.stores.rights import cure_of, try_out
from reelkeeper.stores.s3_errors import boto3_errors, boto3_refusal

_OURS = "reelkeeper-"
_MOST_SKEW = timedelta(minutes=5)
"""Servers refuse signatures from 15 minutes on; a clock that is 5 minutes off is about to be."""
_ABSENT = ("NoSuchLifecycleConfiguration", "NoSuchCORSConfiguration")
_ABORT_AFTER_DAYS = 1


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
        temp = {"ID": f"{_OURS}temp", "Status": "Enabled", "Filter": {"Prefix": "temp/"},
                "Expiration": {"Days": temp_days}}  # fmt: skip
        uploads = {"ID": f"{_OURS}uploads", "Status": "Enabled", "Filter": {"Prefix": ""},
                   "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": _ABORT_AFTER_DAYS}}  # fmt: skip
        return [
            self._ensure("lifecycle rule", rule, self._lifecycle_rules, self._put_lifecycle) for rule in (temp, uploads)
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
            if rule in rules:
                return Change(name, changed=False)
            put([other for other in rules if other.get("ID") != rule["ID"]] + [rule])
        except PermanentError as exc:
            return Change(f"{name} could not be set: {exc}", changed=False)
        return Change(name, changed=True)

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

    def check_clock(self) -> Check:
        """How far the server's clock is from ours. It is told even to those whom the server refuses."""
        from botocore.exceptions import ClientError

        try:
            with boto3_errors(self._store, "ask for the time"):
                try:
                    answer = self._client.head_bucket(Bucket=self._bucket)
                except ClientError as exc:
                    answer = exc.response
        except ReelkeeperError as exc:
            return Check("clock", False, str(exc), cure_of(exc))
        now = datetime.now(UTC)
        stamp = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
        if stamp is None:
            return Check("clock", True, "the server does not tell the time")
        skew = parsedate_to_datetime(stamp) - now
        detail = f"the server's clock is {skew.total_seconds():+.0f} s from ours"
        cure = f"set the clocks by NTP: expected less than {_MOST_SKEW.total_seconds():.0f} s"
        return Check("clock", abs(skew) <= _MOST_SKEW, detail, cure)

    def check_rules(self) -> Iterator[Check]:
        """Versioning and the rule for temp/."""
        yield try_out("versioning", self._versioning)
        found = try_out("lifecycle", self._temp_rule)
        cure = "run the DAG setup_estate, or make a rule that expires temp/"
        yield Check(found.what, found.ok, found.detail, "" if found.ok else cure)

    def _versioning(self) -> str:
        status = self._get("get_bucket_versioning").get("Status", "off")
        hint = "; deleted objects stay billed until a rule expires old versions" if status == "Enabled" else ""
        return f"{status.lower()}{hint}"

    def _temp_rule(self) -> str:
        for rule in self._lifecycle_rules():
            prefix = rule.get("Filter", {}).get("Prefix", rule.get("Prefix"))
            if rule.get("Status") == "Enabled" and "Expiration" in rule and prefix in ("temp/", "temp", ""):
                return f"rule {rule.get('ID', '')!r} expires temp/"
        raise ReelkeeperError("no lifecycle rule expires temp/")
