"""`reelkeeper signing-key`: the key that signs the manifests of exports."""

import os
from pathlib import Path

import click


@click.group(name="signing-key")
def signing_key() -> None:
    """The key that signs the manifests of exports."""


@signing_key.command(
    short_help="Make a new private key.",
    epilog="\b\nExample:\n  reelkeeper signing-key create signing-key.pem > public-key.pem",
)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def create(file: Path) -> None:
    """Make a new private key in FILE, for its owner alone to read, and print its public key.

    Nothing uses it yet: give it to Airflow as the connection reelkeeper_signing. FILE must not exist.
    """
    from reelkeeper.media.signing import Signer

    signer = Signer.create()
    try:
        descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except OSError as exc:
        raise click.ClickException(f"file {str(file)!r} cannot be made: {exc.strerror}") from exc
    with os.fdopen(descriptor, "w", encoding="ascii") as opened:
        opened.write(signer.private_pem())
    click.echo(signer.public_key.pem, nl=False)
    click.echo(
        f"key {signer.key_id}\n"
        f"The private key is in {str(file)!r}: keep it secret. To use it, define Airflow connection "
        "'reelkeeper_signing' of type 'reelkeeper_key' with it as password, or set REELKEEPER_SIGNING_KEY_FILE. "
        "Give the public key above to those who verify exports, and keep it as long as any export it proves.",
        err=True,
    )


@signing_key.command(short_help="Print the public key of a private one.")
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
def public(file: Path | None) -> None:
    """Print the public key of the private key in FILE, or of the one that exports are signed with here."""
    from reelkeeper.media.signing import Signer

    if file is not None:
        signer = Signer.from_pem(file.read_text(encoding="ascii", errors="replace"), name=f"file {str(file)!r}")
    else:
        from reelkeeper_airflow.cli.connections import log_to_stderr
        from reelkeeper_airflow.estate import load_signer

        log_to_stderr()
        signer = load_signer()
    click.echo(signer.public_key.pem, nl=False)
    click.echo(f"key {signer.key_id}", err=True)
