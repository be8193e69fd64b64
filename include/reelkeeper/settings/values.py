"""The kinds of value that a setting has, and what each accepts.

Messages say only what was expected: `problems.py` puts key, value and origin before them.
"""

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Annotated, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer

from reelkeeper.errors import ConfigurationError
from reelkeeper.policy.rollout import Percentage

_SIZE_UNITS = {"B": 1, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}
BUILT_IN_PATTERNS = ("reelkeeper", "frigate", "iso")
"""The path patterns that need no regular expression."""
_STAMP_GROUPS = ("year", "month", "day", "hour", "minute", "second")


def _number(value: object) -> object:
    """TOML's true is no 1."""
    if isinstance(value, bool):
        raise ValueError("expected a number")
    return value


def _size(value: object) -> object:
    """'4 GiB' → bytes."""
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(\d+)\s*([KMGT]iB|B|)\s*", value, re.IGNORECASE)
        if not match:
            raise ValueError("expected bytes, or a text such as '512 MiB' or '4 GiB'")
        return int(match[1]) * _SIZE_UNITS[match[2].upper() or "B"]
    return _number(value)


def _percent(value: object) -> Percentage:
    if isinstance(value, Percentage):
        return value
    try:
        return Percentage.of(value)
    except ConfigurationError as exc:
        raise ValueError("expected a percentage from 0 to 100 with at most two decimals (10 means 10 %)") from exc


def _ratio(value: object) -> float:
    try:
        ratio = float(str(value)) if not isinstance(value, bool) else -1.0
    except ValueError:
        ratio = -1.0
    if not 0 <= ratio <= 1:
        raise ValueError("expected a ratio from 0 to 1 (0.05 means 5 %)")
    return ratio


def _money(value: object) -> Decimal:
    try:
        if isinstance(value, bool):
            raise InvalidOperation
        amount = Decimal(str(value))
    except InvalidOperation as exc:
        raise ValueError("expected an amount of US dollars, such as 12.5") from exc
    if not amount.is_finite():
        raise ValueError("expected an amount of US dollars, such as 12.5")
    return amount


def _bucket(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]", value):
        raise ValueError("expected a bucket's bare name: 3–63 of a-z, 0-9, '.', '_', '-', no scheme and no slash")
    return value


def _endpoint(value: str) -> str:
    parts = urlsplit(value)
    if parts.username is not None or parts.password is not None:
        raise ValueError("expected no user and no password in it: credentials belong in the Airflow connection")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
        raise ValueError("expected an address such as 'https://minio.example.org:9000', without a path")
    if _port_of(value) == -1:
        raise ValueError("expected a port from 1 to 65535")
    return value.rstrip("/")


def _web_base(value: str) -> str:
    parts = urlsplit(value)
    if parts.username is not None or parts.password is not None:
        raise ValueError("expected no user and no password in it")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("expected an address such as 'https://cdn.example.org', with or without a path")
    if _port_of(value) == -1:
        raise ValueError("expected a port from 1 to 65535")
    return value.rstrip("/")


def _port_of(url: str) -> int | None:
    """The port, None where there is none, -1 where it is not one."""
    try:
        return urlsplit(url).port
    except ValueError:
        return -1


def _timezone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (OSError, ValueError, LookupError) as exc:  # ZoneInfoNotFoundError is a LookupError
        raise ValueError("expected the name of an IANA time zone, such as 'UTC' or 'Europe/Berlin'") from exc
    return value


def _extension(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9]{1,10}", value):
        raise ValueError("expected a lower-case file extension without its dot, such as 'mp4'")
    return value


def _log_level(value: object) -> object:
    if isinstance(value, str):
        return {"WARN": "WARNING"}.get(value.upper(), value.upper())
    return value


def pattern_problem(pattern: str, *, camera_given: bool) -> str | None:
    """What is wrong with a landing zone's path pattern, as an expectation; None when it is right."""
    if pattern in BUILT_IN_PATTERNS:
        return None
    try:
        groups: Mapping[str, int] = re.compile(pattern).groupindex
    except re.error as exc:
        return f"expected one of {list(BUILT_IN_PATTERNS)} or a regular expression; it does not compile: {exc}"
    missing = [] if camera_given or "camera" in groups else ["camera"]
    if "start" not in groups and not all(group in groups for group in _STAMP_GROUPS):
        missing.append("start (or all of " + " ".join(_STAMP_GROUPS) + ")")
    if missing:
        return (
            f"expected one of {list(BUILT_IN_PATTERNS)} or a regular expression with the named groups camera and "
            f"start; it lacks {' and '.join(missing)}"
        )
    return None


Size = Annotated[int, BeforeValidator(_size), Field(gt=0)]
"""Bytes, or a text with a binary unit."""
Percent = Annotated[Percentage, BeforeValidator(_percent), PlainSerializer(lambda value: value.buckets / 100)]
"""A number from 0 to 100; 1 means 1 %."""
Ratio = Annotated[float, BeforeValidator(_ratio), Field(ge=0, le=1)]
"""A number from 0 to 1; 1 means all."""
Money = Annotated[Decimal, BeforeValidator(_money), PlainSerializer(float)]
"""US dollars."""
Whole = Annotated[int, BeforeValidator(_number)]
"""A whole number."""
Seconds = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,47}$")]
"""A letter first: where names pass through Airflow's native templates, '2024' would become a number."""
Bucket = Annotated[str, AfterValidator(_bucket)]
Endpoint = Annotated[str, AfterValidator(_endpoint)]
WebBase = Annotated[str, AfterValidator(_web_base)]
"""An address that paths are added to."""
KeyPrefix = Annotated[str, Field(pattern=r"^([a-z0-9][a-z0-9_-]{0,47}/)+$")]
"""How keys start, with the slash at its end."""
TimeZoneName = Annotated[str, AfterValidator(_timezone)]
MailAddress = Annotated[str, Field(pattern=r"^[^@\s,;<>]+@[^@\s,;<>]+$")]
"""A bare one, without a name beside it."""
Extension = Annotated[str, AfterValidator(_extension)]
LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_log_level)]
