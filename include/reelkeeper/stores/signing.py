"""Signed URLs: what they are, and how long they may live."""

import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import quote

from reelkeeper.errors import AccessDenied

MOST = timedelta(days=7)
"""The longest that S3 and Google Cloud Storage allow."""
UNKNOWN_SESSION = timedelta(hours=1)
"""What is taken for the life of temporary credentials that do not tell it: AWS gives them an hour by default."""

# At DEBUG it would tell each signature, and all that a URL is made of.
logging.getLogger("botocore.auth").setLevel(logging.INFO)


@dataclass(frozen=True, slots=True)
class SignedUrl:
    """A URL whose bearer may do one thing until it expires: a secret till then, which `repr` does not show."""

    url: str = field(repr=False)
    expires_at: datetime | None  # None: never, as it is not signed


def signed_for(asked: timedelta, *, expires_at: datetime | None, now: datetime) -> timedelta:
    """min(asked, the credential's life, seven days), in whole seconds: a URL must not promise more than its key.

    ValueError unless `asked` is at least a second; AccessDenied when the credential has expired.
    """
    if asked < timedelta(seconds=1):
        raise ValueError(f"expires_in {asked!r}: expected at least one second")
    life = MOST if expires_at is None else expires_at - now
    seconds = int(min(asked, life, MOST).total_seconds())
    if seconds < 1:
        raise AccessDenied(f"the credentials expired at {expires_at}: expected ones that are still valid")
    return timedelta(seconds=seconds)


def as_attachment(name: str) -> str:
    """The Content-Disposition of a download that is to be saved under this name."""
    return f"attachment; filename*=UTF-8''{quote(name, safe='')}"
