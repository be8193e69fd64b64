"""URLs on a CDN's domain: plain ones, and those that CloudFront asks to be signed."""

from collections.abc import Callable
from datetime import datetime
from urllib.parse import quote

from reelkeeper.errors import ConfigurationError
from reelkeeper.model import Key
from reelkeeper.pem import private_key

UrlSigner = Callable[[str, datetime], str]
"""A URL and when it expires → the URL, signed."""


def object_url(base_url: str, key: Key) -> str:
    """The object's address below `base_url`."""
    return f"{base_url}/{quote(key, safe='/~')}"


def cloudfront_signer(key_id: str, pem: str, *, name: str) -> UrlSigner:
    """Signs for CloudFront, by a canned policy: one URL, until one instant.

    `key_id` is CloudFront's id of the public key, `pem` the private one, RSA, from `name`. ConfigurationError when it
    is another one.
    """
    from botocore.signers import CloudFrontSigner
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    key = private_key(pem, name=name)
    if not isinstance(key, RSAPrivateKey):
        raise ConfigurationError(f"{name} holds a key of type {type(key).__name__}: expected RSA, for CloudFront")
    # CloudFront takes nothing but SHA-1 from RSA keys.
    signer = CloudFrontSigner(key_id, lambda message: key.sign(message, PKCS1v15(), hashes.SHA1()))  # noqa: S303

    def sign(url: str, expires_at: datetime) -> str:
        return str(signer.generate_presigned_url(url, date_less_than=expires_at))

    return sign
