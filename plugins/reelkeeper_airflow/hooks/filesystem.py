"""Folders on disks that the worker sees. They need no credentials; a connection can only narrow what stores may use."""

from pathlib import Path

from airflow.providers.standard.hooks.filesystem import FSHook
from airflow.sdk.exceptions import AirflowNotFoundException

from reelkeeper.errors import ConfigurationError
from reelkeeper.settings import StoreSettings


class FilesystemHook(FSHook):
    """A folder, by the standard provider's connection type `fs`: extra `path`."""

    def confine(self, root: Path) -> None:
        """ConfigurationError unless `root` lies in the connection's folder; a connection without one allows all."""
        allowed = self.get_path()
        if allowed and not root.resolve().is_relative_to(Path(allowed).resolve()):
            raise ConfigurationError(
                f"root {str(root)!r} is outside the folder {allowed!r} of connection {self.conn.conn_id!r}: "
                "expected a folder in it"
            )


def access_for(settings: StoreSettings) -> None:
    """Checks that the connection, if there is one, allows the store's root. There is nothing to hand over."""
    try:
        hook = FilesystemHook(settings.connection)
    except AirflowNotFoundException:
        return
    if settings.root is not None:
        hook.confine(settings.root)
