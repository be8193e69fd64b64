"""What is expected of the catalogue, as SQL, and the history of what checks of it found."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import uuid4

from psycopg2.extensions import connection as Connection  # noqa: N812  (it is a class)
from psycopg2.extensions import cursor as plain_cursor
from psycopg2.extras import RealDictCursor

from reelkeeper.catalogue.failures import mapped
from reelkeeper.catalogue.queries import quality_queries
from reelkeeper.catalogue.session import Rows, Session
from reelkeeper.model import TimeRange
from reelkeeper.policy.quality import Name, Severity, Suite

_AT_ONCE = 5_000

Outcome = Literal["passed", "warned", "failed"]


@dataclass(frozen=True, slots=True)
class QualityResult:
    """What became of one expectation."""

    suite: Suite
    expectation: Name
    severity: Severity
    success: bool
    looked_at: int  # rows
    failing: int  # rows that are wrong
    mostly: float  # share of rows that must be right
    examples: Sequence[Mapping[str, Any]] = ()  # the first of the rows that are wrong, as JSON has them
    report_path: str | None = None  # all of them, in the exports store


@dataclass(frozen=True, slots=True)
class QualityRun:
    """What came of one check."""

    job: str  # the DAG
    run_id: str
    outcome: Outcome
    docs_path: str | None  # its page, in the exports store
    started_at: datetime
    finished_at: datetime
    results: tuple[QualityResult, ...]
    is_whole: bool = True  # of all suites, and of days that nobody chose
    look_again: tuple[TimeRange, ...] = ()  # where something was wrong, for the next whole check


class Quality:
    """Statements of sql/quality with their values in place, a connection to run them by, and history."""

    def __init__(self, session: Session) -> None:
        self._session = session

    # --- what is expected --------------------------------------------------------------------------------------------

    def statement(self, name: str, **parameters: object) -> str:
        """The query of sql/quality of this name, its parameters bound by the driver: for what takes SQL as a text."""
        return self._session.bound(getattr(quality_queries(), name).sql, **parameters).rstrip("; \n")

    def connect(self, timeout: timedelta) -> Connection:
        """A connection of the caller's own that changes nothing, and on which no statement takes longer than that.

        CatalogueUnavailable.
        """
        connection = self._session.beside().connection()
        connection.set_session(readonly=True)
        connection.cursor_factory = plain_cursor
        with connection.cursor() as opened:
            opened.execute(
                "SELECT set_config('statement_timeout', %s, false), set_config('work_mem', '64MB', false),"
                " set_config('jit', 'off', false)",
                (f"{timeout / timedelta(milliseconds=1):.0f}",),
            )
        connection.commit()
        return connection

    def stream(self, statement: str, *, most: int, timeout: timedelta) -> Iterator[Mapping[str, Any]]:
        """The rows of a statement, at most so many, as they come and in bounded memory. Errors as of
        `Session.rows`."""
        name = f"rows_{uuid4().hex}"  # a cursor of the server, which sends rows as they are asked for
        with (
            mapped(self._session.schema),
            closing(self.connect(timeout)) as connection,
            connection.cursor(name, cursor_factory=RealDictCursor) as rows,
        ):
            rows.itersize = _AT_ONCE
            rows.execute(f"SELECT * FROM ({statement}) AS wrong LIMIT {int(most)}")  # noqa: S608  (ours, bound)
            yield from rows

    def oldest(self) -> datetime | None:
        """When the oldest footage began; None: there is none."""
        found = self._session.rows("oldest_segment")
        return found[0].start_time if found else None

    def ingested(self, run_id: str) -> tuple[int, TimeRange] | None:
        """How many segments a run of ingest took in, and the range in which they start; None: it took nothing in."""
        found = self._session.row("ingested_by_run", run_id=run_id)
        if not found.segments:
            return None
        return found.segments, TimeRange(found.first, found.last + timedelta.resolution)

    # --- history ------------------------------------------------------------------------------------------------------

    def record(self, run: QualityRun) -> None:
        """Tell what a run found; a try that comes later tells it anew."""
        with self._session.transaction():
            self._session.execute("forget_quality_run", job=run.job, run_id=run.run_id)
            self._session.execute(
                "record_quality_run", job=run.job, run_id=run.run_id, outcome=run.outcome, docs_path=run.docs_path,
                started_at=run.started_at, finished_at=run.finished_at,
                is_whole=run.is_whole, look_again=Rows([asdict(each) for each in run.look_again]),
                rows=Rows([asdict(result) for result in run.results]),
            )  # fmt: skip

    def forget(self, *, before: datetime) -> int:
        """Forget the runs that began before; how many."""
        return self._session.execute("forget_quality_runs", before=before)

    def latest(self, job: str) -> QualityRun | None:
        """The whole check of a job that began last; None: there was none."""
        found = self._session.rows("latest_quality_run", job=job)
        if not found:
            return None
        run = found[0]._asdict()
        rows = self._session.rows("quality_results_of", number=run.pop("id"))
        again = [TimeRange(*map(datetime.fromisoformat, (each["start"], each["end"]))) for each in run["look_again"]]
        return QualityRun(**run | {"look_again": tuple(again)}, results=tuple(_result_of(row) for row in rows))


def _result_of(row: Any) -> QualityResult:
    return QualityResult(**row._asdict() | {"suite": Suite(row.suite), "expectation": Name(row.expectation)})
