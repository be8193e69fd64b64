"""Reports: tables and pages for people, as CSV and HTML files in the store that keeps the exports."""

import csv
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import sha256 as new_sha256
from pathlib import Path
from types import TracebackType
from typing import Self

from reelkeeper.errors import ObjectExists
from reelkeeper.model import Key, Sha256, canonical_key
from reelkeeper.stores.body import Body, read_file
from reelkeeper.stores.protocols import Lists, WriteOptions, Writes
from reelkeeper.stores.retry import retrying

REPORTS = "reports/"
CONTENT_TYPES = {"csv": "text/csv; charset=utf-8", "html": "text/html; charset=utf-8"}
"""By what comes after the last dot of a report's name."""
_OURS = re.compile(rf"reports/(?P<job>[a-z0-9_]+)/(?P<day>\d{{4}}-\d\d-\d\d)/.+\.(?:{'|'.join(CONTENT_TYPES)})")
_MOST_TRIES = 1000


class Report:
    """A table that grows in a temporary file, however long it gets, and is then published. A context manager."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = columns
        self._file = tempfile.NamedTemporaryFile("w", encoding="utf-8", newline="", suffix=".csv")  # noqa: SIM115
        self._writer = csv.writer(self._file)  # RFC 4180: quotes where needed, lines end in CRLF
        self._writer.writerow(columns)
        self.rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, *values: object) -> None:
        """One row, a value for each column; None is empty. ValueError for another number of values."""
        if len(values) != len(self._columns):
            raise ValueError(f"row has {len(values)} values: expected {len(self._columns)}, for {list(self._columns)}")
        self._writer.writerow(["" if value is None else _printable(value) for value in values])
        self.rows += 1

    def publish(self, store: Writes, name: str) -> Key:
        """Write it as `reports/{name}.csv`, as `publish` says; where it lies. Errors of the store."""
        self._file.flush()
        path = Path(self._file.name)
        digest, size = new_sha256(), 0
        for chunk in read_file(path):
            digest.update(chunk)
            size += len(chunk)
        body = Body.of_file(path, size_bytes=size, sha256=Sha256(digest.hexdigest()))
        return publish(store, name, "csv", body)


def publish(store: Writes, name: str, extension: str, body: Body) -> Key:
    """Write a report as `reports/{name}.{extension}`, `name` being `{job}/{date}/…`; where it lies.

    When a report of that name is there, of an earlier try of the same task, it becomes `{name}-2`, and so on. Errors of
    the store; KeyError for an extension that no report has.
    """
    options = WriteOptions(content_type=CONTENT_TYPES[extension])
    for number in range(1, _MOST_TRIES):
        key = canonical_key(f"{REPORTS}{name}{f'-{number}' if number > 1 else ''}.{extension}")
        try:
            retrying()(store.write, key, body, options)
        except ObjectExists:
            continue
        return key
    raise ObjectExists(f"store {store.name!r} has {_MOST_TRIES - 1} reports of the name {name!r}: expected fewer")


def is_report(key: str) -> bool:
    """Whether a key is one that a report of ours has."""
    return _OURS.fullmatch(key) is not None


@dataclass(frozen=True, slots=True)
class PublishedReport:
    """A report in its store."""

    key: Key
    job: str  # the id of the DAG that wrote it
    day: date  # the one that it is of
    size_bytes: int
    written_at: datetime  # by the store's clock


def list_reports(store: Lists, job: str) -> list[PublishedReport]:
    """The reports that a job wrote: the newest day first, of one day the last written first. Errors of the store."""
    found = [
        PublishedReport(Key(stat.key), job, date.fromisoformat(name["day"]), stat.size_bytes, stat.last_modified)
        for stat in store.list(f"{REPORTS}{job}/")
        if (name := _OURS.fullmatch(stat.key)) and name["job"] == job and _is_day(name["day"])
    ]
    return sorted(found, key=lambda report: (report.day, report.written_at, report.key), reverse=True)


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _printable(value: object) -> object:
    """Names of files may hold bytes that are no text; they are shown escaped."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
