"""Makes .env, which docker-compose.yaml reads, of .env.example: a new secret for each value that is empty there.

It leaves an .env alone that is there already.
"""

import base64
import os
import secrets
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def filled(example: str) -> str:
    """The example with a secret in each empty value. They stand in URLs: hexadecimal."""
    return "".join(f"{_filled(line)}\n" for line in example.splitlines())


def _filled(line: str) -> str:
    name, separator, value = line.partition("=")
    if value or not separator or line.startswith("#"):
        return line
    return f"{name}={_secret(name)}"


def _secret(name: str) -> str:
    if name == "AIRFLOW_FERNET_KEY":
        return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    return secrets.token_hex(24)


def main() -> int:
    """Write it, for its owner alone."""
    file = ROOT / ".env"
    try:
        descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        print(f"{file} is there already, and stays as it is", file=sys.stderr)
        return 1
    with os.fdopen(descriptor, "w", encoding="ascii") as opened:
        opened.write(filled((ROOT / ".env.example").read_text(encoding="ascii")))
    print(f"wrote {file}: AIRFLOW_ADMIN_PASSWORD and GRAFANA_ADMIN_PASSWORD are what you sign in with, as admin")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
