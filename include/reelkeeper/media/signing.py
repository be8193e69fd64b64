"""Ed25519 keys: the private one signs manifests, the public one proves them anywhere.

A key is named by its fingerprint, the SHA-256 of the public key in DER: what
`openssl pkey -pubin -in KEY -outform DER | sha256sum` prints.
"""

from hashlib import sha256
from typing import Final, NewType

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from reelkeeper.errors import ConfigurationError
from reelkeeper.pem import private_key, repaired_pem

ALGORITHM: Final = "Ed25519"
KeyId = NewType("KeyId", str)
"""`sha256:` and 64 hexadecimal digits."""


class PublicKey:
    """Proves what the private key of the pair has signed."""

    def __init__(self, key: Ed25519PublicKey) -> None:
        self._key = key
        der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        self.id = KeyId(f"sha256:{sha256(der).hexdigest()}")

    @classmethod
    def from_pem(cls, pem: str, *, name: str) -> "PublicKey":
        """The key that `pem` holds. ConfigurationError, with `name` for where the text came from."""
        try:
            key = serialization.load_pem_public_key(repaired_pem(pem).encode())
        except (ValueError, UnsupportedAlgorithm) as exc:
            raise ConfigurationError(
                f"{name} holds no public key that can be read: expected PEM, '-----BEGIN PUBLIC KEY-----'"
            ) from exc
        if not isinstance(key, Ed25519PublicKey):
            raise ConfigurationError(f"{name} holds a key of type {type(key).__name__}: expected Ed25519")
        return cls(key)

    @property
    def pem(self) -> str:
        """The key as others need it. It is no secret."""
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self._key.public_bytes(serialization.Encoding.PEM, form).decode()

    def proves(self, data: bytes, signature: bytes) -> bool:
        """Whether the private key of the pair signed exactly `data`."""
        try:
            self._key.verify(signature, data)
        except InvalidSignature:
            return False
        return True


class Signer:
    """Signs with a private key. `repr` does not show it."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public_key = PublicKey(key.public_key())

    @classmethod
    def create(cls) -> "Signer":
        """A new key."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_pem(cls, pem: str, *, name: str) -> "Signer":
        """The key that `pem` holds, not encrypted. ConfigurationError, with `name` for where the text came from."""
        key = private_key(pem, name=name)
        if not isinstance(key, Ed25519PrivateKey):
            raise ConfigurationError(
                f"{name} holds a key of type {type(key).__name__}: expected Ed25519, as 'reelkeeper signing-key "
                "create' makes it"
            )
        return cls(key)

    @property
    def key_id(self) -> KeyId:
        return self.public_key.id

    def sign(self, data: bytes) -> bytes:
        """The signature, 64 bytes; the same ones each time."""
        return self._key.sign(data)

    def private_pem(self) -> str:
        """The private key, for the one place where it is kept."""
        return self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
