"""Links of our own to objects in stores that sign no URLs: folders of this machine's disks.

A link names store and key in its path, and says in its query until when and with which token. The token is an HMAC of
all of it and of the method, so a link is good for one thing, on one object, until it expires. Whoever serves links
(`reelkeeper_airflow.api`) shares the secret with those who make them.
"""

import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from urllib.parse import quote, urlencode

from itsdangerous import Signer

from reelkeeper.errors import AccessDenied
from reelkeeper.model import Key, StoreName
from reelkeeper.stores.signing import SignedUrl, signed_for

_SALT = "reelkeeper.own-links.1"
Method = Literal["GET", "PUT"]


@dataclass(frozen=True, slots=True)
class Linked:
    """What a link is good for."""

    method: Method
    store: StoreName
    key: Key
    expires: int  # seconds since 1970
    filename: str | None = None  # what a browser saves it as


class OwnLinks:
    """Makes links and checks them. `secret` is text of at least 16 characters, `base_url` what serves them."""

    def __init__(self, secret: str, base_url: str) -> None:
        if len(secret) < 16:
            raise ValueError("secret of less than 16 characters: expected a random one, of 32 say")
        self._signer = Signer(secret, salt=_SALT, key_derivation="hmac", digest_method=hashlib.sha256)
        self._base_url = base_url.rstrip("/")

    def make(
        self,
        store: StoreName,
        key: Key,
        *,
        method: Method = "GET",
        expires_in: timedelta,
        filename: str | None = None,
        now: datetime,
    ) -> SignedUrl:
        """A link of at most seven days, in whole seconds. ValueError for one of less than a second."""
        expires = int((now + signed_for(expires_in, expires_at=None, now=now)).timestamp())
        linked = Linked(method, store, key, expires, filename)
        # Airflow's access log hides what is called `token`.
        query = {"expires": str(expires), "token": self._signer.get_signature(_text(linked)).decode()}
        if filename is not None:
            query["filename"] = filename
        url = f"{self._base_url}/objects/{store}/{quote(key, safe='/~')}?{urlencode(query)}"
        return SignedUrl(url, datetime.fromtimestamp(expires, UTC))

    def check(self, linked: Linked, token: str, *, now: datetime) -> None:
        """AccessDenied unless `token` was made for exactly this, and has not expired."""
        # As text: several texts are the same bytes in base64.
        if not hmac.compare_digest(self._signer.get_signature(_text(linked)), token.encode()):
            raise AccessDenied("the link is not one that was made here: expected it unchanged")
        if now.timestamp() >= linked.expires:
            raise AccessDenied("the link has expired: expected a new one")


def _text(linked: Linked) -> bytes:
    """One text for one link: JSON keeps its parts apart."""
    parts = [linked.method, linked.store, linked.key, linked.expires, linked.filename]
    return json.dumps(parts, ensure_ascii=True).encode()
