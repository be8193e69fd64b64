"""Private keys as text: PEM, also where a form or a variable has spoilt its line breaks."""

import re

from reelkeeper.errors import ConfigurationError

_PEM = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----", re.DOTALL)


def private_key(pem: str, *, name: str) -> object:
    """A private key of whatever type, as `cryptography` has it.

    ConfigurationError, with `name` for where the text came from, and nothing of the text.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        return load_pem_private_key(repaired_pem(pem).encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:  # TypeError: it is encrypted
        why = "it is encrypted" if isinstance(exc, TypeError) else "it cannot be read"
        raise ConfigurationError(
            f"{name} holds no usable private key, {why}: expected PEM without a password, '-----BEGIN PRIVATE KEY-----'"
        ) from None


def repaired_pem(text: str) -> str:
    """PEM with its lines: a form's field of one line, and some variables, lose the line breaks."""
    found = _PEM.search(text.replace("\\n", "\n"))
    if found is None:
        return text
    label, body = found[1], "".join(found[2].split())
    lines = [body[start : start + 64] for start in range(0, len(body), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])
