"""Footage for people: cut out exactly, proved, delivered.

accept_export → (restore what is archived) → cut_camera, one for each → compose_export → deliver_export; fail_export
when anything goes wrong for good. What passes between them stands in the catalogue, and in the exports store below
`exports/{id}/`: each may be run again at any time, on any worker, and goes on where the last one was.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from uuid import UUID, uuid5

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.export_records import Asked, Export, ExportFile
from reelkeeper.errors import CatalogueUnavailable, ReelkeeperError
from reelkeeper.exporting.composing import ComposeResult, compose_export
from reelkeeper.exporting.cutting import CutResult, cut_camera, under_way
from reelkeeper.exporting.ending import deliver_export, fail_export
from reelkeeper.exporting.progress import tell_restoring
from reelkeeper.exporting.request import accept_export
from reelkeeper.stores.retry import retrying

__all__ = [
    "Asked",
    "ComposeResult",
    "CutResult",
    "Export",
    "ExportFile",
    "accept_export",
    "compose_export",
    "cut_camera",
    "deliver_export",
    "export_id",
    "fail_export",
    "step",
    "tell_restoring",
    "under_way",
]

_NAMESPACE = UUID("2f1c8c0e-9b0f-5d0a-8f53-6578706f7274")


class UnexpectedError(ReelkeeperError):
    """A bug of ours, or of something that we use."""

    code = "unexpected"


def export_id(run_id: str) -> UUID:
    """The id of the export that a DAG run makes when nobody gave it one: the same each time."""
    return uuid5(_NAMESPACE, run_id)


@contextmanager
def step(catalogue: Catalogue, export: UUID, what: str, *, run_id: str, now: datetime) -> Iterator[None]:
    """Remembers what goes wrong inside, in words for people: should no try help, it is why the export failed. Of what
    is not this run's nothing is remembered.
    """
    begun = retrying()(catalogue.exports.get, export)
    if begun is None or begun.run_id != run_id:
        yield
        return
    try:
        yield
    except Exception as error:
        told = error if isinstance(error, ReelkeeperError) else UnexpectedError(type(error).__name__)
        with suppress(CatalogueUnavailable):  # what went wrong first counts
            catalogue.exports.note_trouble(begun, what, told, now=now)
        raise
    catalogue.exports.forget_trouble(begun, what)
