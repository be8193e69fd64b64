"""How long a signed URL may live."""

from datetime import datetime, timedelta

from reelkeeper.errors import AccessDenied

MOST = timedelta(days=7)
"""The longest that S3 and Google Cloud Storage allow."""


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
