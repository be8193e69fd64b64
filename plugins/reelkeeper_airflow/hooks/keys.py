"""Private keys, by a connection type of its own: the one that signs manifests, and CloudFront's."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from airflow.sdk import BaseHook, Connection

from reelkeeper.errors import ConfigurationError, CredentialsNotFound
from reelkeeper_airflow.hooks.environment import FromEnvironment

if TYPE_CHECKING:
    from reelkeeper.media.signing import Signer
    from reelkeeper.stores.cloudfront import UrlSigner


class KeyHook(FromEnvironment, BaseHook):
    """Hands out a private key.

    Connection: `password` is the key in PEM, without a password of its own; a form's field may have taken its line
    breaks away.

    :param key_conn_id: the connection; `reelkeeper_signing` may also come from a file, `REELKEEPER_SIGNING_KEY_FILE`
    """

    conn_name_attr = "key_conn_id"
    default_conn_name = "reelkeeper_signing"
    conn_type = "reelkeeper_key"
    hook_name = "Reelkeeper private key"
    file_variable = "REELKEEPER_SIGNING_KEY_FILE"

    def __init__(self, key_conn_id: str = "") -> None:
        super().__init__()
        self.key_conn_id = key_conn_id or self.default_conn_name

    @classmethod
    def connection_from_environment(cls, environ: Mapping[str, str]) -> Connection | None:
        path = environ.get(cls.file_variable)
        if not path:
            return None
        try:
            pem = Path(path).read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as exc:
            raise ConfigurationError(
                f"{cls.file_variable} is {path!r}: expected a file with a private key in PEM; {exc}"
            ) from exc
        return Connection(conn_id=cls.default_conn_name, conn_type=cls.conn_type, password=pem)

    def get_conn(self) -> str:
        """The key in PEM. AirflowNotFoundException, CredentialsNotFound."""
        connection = self.get_connection(self.key_conn_id)
        if not connection.password:
            raise CredentialsNotFound(
                f"connection {self.key_conn_id!r} has no password: expected a private key in PEM there"
            )
        return connection.password

    def signer(self) -> "Signer":
        """What signs manifests. As `get_conn`, and ConfigurationError for a key of another type than Ed25519."""
        from reelkeeper.media.signing import Signer

        return Signer.from_pem(self.get_conn(), name=f"connection {self.key_conn_id!r}")

    def test_connection(self) -> tuple[bool, str]:
        """Whether the key can be read, and which one it is."""
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

        from reelkeeper.pem import private_key

        try:
            key = private_key(self.get_conn(), name=f"connection {self.key_conn_id!r}")
            if isinstance(key, RSAPrivateKey):
                return True, f"an RSA key of {key.key_size} bits, for CloudFront"
            return True, f"an Ed25519 key for manifests, {self.signer().key_id}"
        except Exception as exc:  # noqa: BLE001 - whatever it is, the person who asks is to read it
            return False, f"{type(exc).__name__}: {exc}"


class CloudFrontKeyHook(KeyHook):
    """Hands out the private key that signs CloudFront's URLs.

    :param key_conn_id: the connection; `reelkeeper_cloudfront` may also come from `CLOUDFRONT_PRIVATE_KEY_FILE`
    """

    default_conn_name = "reelkeeper_cloudfront"
    file_variable = "CLOUDFRONT_PRIVATE_KEY_FILE"

    def url_signer(self, key_id: str) -> "UrlSigner":
        """What signs URLs for CloudFront, which knows the public key as `key_id`. As `get_conn`, and ConfigurationError
        for a key of another type than RSA.
        """
        from reelkeeper.stores.cloudfront import cloudfront_signer

        return cloudfront_signer(key_id, self.get_conn(), name=f"connection {self.key_conn_id!r}")
