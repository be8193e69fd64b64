"""What a task read and wrote, told to OpenLineage where its provider is installed (the extra `openlineage`).

Names are those of OpenLineage's naming conventions: a store's footage is `s3://bucket` and a prefix, a table is
`postgres://host:port` and `database.schema.table`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reelkeeper.model import StoreKind
from reelkeeper.policy.reconciliation import MEDIA, THUMBNAILS
from reelkeeper.settings import LandingZone, StoreSettings
from reelkeeper_airflow.estate import current_estate

__all__ = ["EXPORTED", "REPORTED", "THUMBNAILS", "Dataset", "Objects", "Table", "TellsLineage", "Zone"]

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from openlineage.client.event_v2 import InputDataset, OutputDataset

EXPORTED, REPORTED = "exports/", "reports/"
_SCHEMES = {StoreKind.MINIO: "s3", StoreKind.S3: "s3", StoreKind.GCS: "gs"}
_THIS_MACHINE, _POSTGRES_PORT = "localhost", 5432
Name = tuple[str, str]
"""Namespace and name of a dataset."""
Numbers = tuple[int | None, int | None, int | None]
"""Rows, objects and bytes, where they are known."""


@dataclass(frozen=True, slots=True)
class Objects:
    """What lies below a prefix of a store; how many of its objects the task touched, and their bytes, where known."""

    store: str
    prefix: str = MEDIA
    objects: int | None = None
    size_bytes: int | None = None

    def named(self) -> Name:
        return _below(current_estate().store(self.store), self.prefix)

    def numbers(self) -> Numbers:
        return None, self.objects, self.size_bytes


@dataclass(frozen=True, slots=True)
class Zone:
    """A landing zone of the estate."""

    zone: str
    objects: int | None = None
    size_bytes: int | None = None

    def named(self) -> Name:
        return _zone(current_estate().zone(self.zone))

    def numbers(self) -> Numbers:
        return None, self.objects, self.size_bytes


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the catalogue, and how many of its rows the task read or wrote, where known."""

    table: str
    rows: int | None = None

    def named(self) -> Name:
        from reelkeeper_airflow.hooks.catalogue import CatalogueHook

        settings = current_estate().catalogue
        connection = CatalogueHook.get_connection(settings.connection)
        address = f"{connection.host or _THIS_MACHINE}:{connection.port or _POSTGRES_PORT}"
        return f"postgres://{address}", f"{connection.schema}.{settings.db_schema}.{self.table}"

    def numbers(self) -> Numbers:
        return self.rows, None, None


Dataset = Objects | Zone | Table


class TellsLineage:
    """Mixin before an operator. `execute` says what it read and wrote by `touched`; OpenLineage's listener asks.

    A task that fails or is stopped before tells what `expected` knew from its arguments alone.
    """

    _touched: tuple[tuple[Dataset, ...], tuple[Dataset, ...]] | None = None

    def expected(self) -> tuple[Iterable[Dataset], Iterable[Dataset]]:
        """What the task will read and write, as far as its arguments tell."""
        return (), ()

    def touched(self, *, read: Iterable[Dataset] = (), wrote: Iterable[Dataset] = ()) -> None:
        """The task has read and written this."""
        self._touched = (tuple(read), tuple(wrote))

    def get_openlineage_facets_on_start(self) -> "OperatorLineage[Any, Any]":
        """Before `execute`."""
        return _lineage(*self.expected())

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> "OperatorLineage[Any, Any]":
        """After `execute`, whether it succeeded or failed."""
        return _lineage(*(self._touched or self.expected()))


def _lineage(read: Iterable[Dataset], wrote: Iterable[Dataset]) -> "OperatorLineage[Any, Any]":
    from airflow.providers.openlineage.extractors import OperatorLineage

    inputs, outputs = [_input(dataset) for dataset in read], [_output(dataset) for dataset in wrote]
    return OperatorLineage(inputs=inputs, outputs=outputs)


def _input(dataset: Dataset) -> "InputDataset":
    from openlineage.client.event_v2 import InputDataset
    from openlineage.client.facet_v2 import input_statistics_input_dataset as statistics

    rows, objects, size_bytes = dataset.numbers()
    facet = statistics.InputStatisticsInputDatasetFacet(rowCount=rows, fileCount=objects, size=size_bytes)
    return InputDataset(*dataset.named(), inputFacets={"inputStatistics": facet})


def _output(dataset: Dataset) -> "OutputDataset":
    from openlineage.client.event_v2 import OutputDataset
    from openlineage.client.facet_v2 import output_statistics_output_dataset as statistics

    rows, objects, size_bytes = dataset.numbers()
    facet = statistics.OutputStatisticsOutputDatasetFacet(rowCount=rows, fileCount=objects, size=size_bytes)
    return OutputDataset(*dataset.named(), outputFacets={"outputStatistics": facet})


def _below(store: StoreSettings, prefix: str) -> Name:
    if store.kind is StoreKind.FILESYSTEM:
        return "file", f"{store.root}/{prefix}".rstrip("/")
    if store.kind is StoreKind.MEMORY:
        return "memory", f"{store.name}/{prefix}"
    return f"{_SCHEMES[store.kind]}://{store.bucket}", prefix.rstrip("/") or "/"


def _zone(zone: LandingZone) -> Name:
    if zone.store is not None:
        return _below(current_estate().store(zone.store), zone.prefix or "")
    return "file", str(zone.path or zone.urls)
