"""Reports: tables for people, as CSV files in the store that keeps the exports."""

import csv
import re
import tempfile
from collections.abc import Sequence
from hashlib import sha256 as new_sha256
from pathlib import Path
from types import TracebackType
from typing import Self

from reelkeeper.errors import ObjectExists
from reelkeeper.model import Key, Sha256, canonical_key
from reelkeeper.stores.body import Body, read_file
from reelkeeper.stores.protocols import WriteOptions, Writes
from reelkeeper.stores.retry import retrying

REPORTS = "reports/"
_OURS = re.compile(r"reports/[a-z0-9_]+/\d{4}-\d\d-\d\d/.+\.csv")
_MOST_TRIES = 1000
_OPTIONS = WriteOptions(content_type="text/csv; charset=utf-8")


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
        """Write it as `reports/{name}.csv`, `name` being `{job}/{date}/…`; where it lies. Errors of the store.

        When a report of that name is there, of an earlier try of the same task, it becomes `{name}-2`, and so on.
        """
        self._file.flush()
        path = Path(self._file.name)
        digest, size = new_sha256(), 0
        for chunk in read_file(path):
            digest.update(chunk)
            size += len(chunk)
        body = Body.of_file(path, size_bytes=size, sha256=Sha256(digest.hexdigest()))
        for number in range(1, _MOST_TRIES):
            key = canonical_key(f"{REPORTS}{name}{f'-{number}' if number > 1 else ''}.csv")
            try:
                retrying()(store.write, key, body, _OPTIONS)
            except ObjectExists:
                continue
            return key
        raise ObjectExists(f"store {store.name!r} has {_MOST_TRIES - 1} reports of the name {name!r}: expected fewer")


def is_report(key: str) -> bool:
    """Whether a key is one that a report of ours has."""
    return _OURS.fullmatch(key) is not None


def _printable(value: object) -> object:
    """Names of files may hold bytes that are no text; they are shown escaped."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
