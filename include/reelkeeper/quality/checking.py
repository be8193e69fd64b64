"""Checks of the catalogue, and of what a run of ingest took in: look, report each wrong row, remember, and fail.

No check changes anything but its own history and reports: what is wrong is for a person to put right.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.quality import Outcome, QualityResult, QualityRun
from reelkeeper.errors import QualityFailed, ReelkeeperError
from reelkeeper.model import Key, TimeRange
from reelkeeper.policy.quality import Suite, days_looked_at, together
from reelkeeper.quality.data_docs import Page, headline, outcome_of, publish_page
from reelkeeper.quality.statements import Demanded, of_days, of_ingest
from reelkeeper.reports import Report
from reelkeeper.settings import Estate
from reelkeeper.stores.protocols import Store
from reelkeeper.stores.retry import retrying

if TYPE_CHECKING:
    from reelkeeper.quality.validation import Verdict

log = logging.getLogger(__name__)

_MOST_IN_ERROR = 3
"""Rows of each expectation that an error names; the log has `quality.examples`, the report all."""
_SECONDS_BETWEEN_LINES = 5
_MOST_AGAIN = 100
"""Ranges that the next check looks at again, most of them a day."""


@dataclass(frozen=True, slots=True)
class Run:
    """Which run checks, and when it does."""

    job: str  # the id of the DAG
    run_id: str
    now: datetime


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found."""

    outcome: Outcome
    results: tuple[QualityResult, ...]
    docs: Key | None  # the page about it, in the exports store; None: all was well, and nobody asked


def check_catalogue(
    estate: Estate,
    catalogue: Catalogue,
    open_store: Callable[[str], Store],
    run: Run,
    *,
    suites: Sequence[Suite] = tuple(Suite),
    time_range: TimeRange | None = None,
) -> Checked:
    """Hold the catalogue against what these suites expect of it; the page and the reports go to the exports store.

    Of footage and history it looks at the days of `time_range`, from the oldest footage on; None: the last
    `quality.window_days`, the part of the older days whose turn it is, and where the last whole check found something
    wrong, so that nothing is forgotten before it is right. Doing it again in the same run tells anew.
    CatalogueUnavailable, errors of the exports store.
    """
    rules = estate.quality
    oldest = retrying()(catalogue.quality.oldest)
    if time_range is None:
        days = days_looked_at(run.now, window_days=rules.window_days, cycle_days=rules.cycle_days, oldest=oldest)
        older = len(days) - rules.window_days - 2  # today is a day as well, and what is dated later one range
        scope = f"Footage and history of today, the {rules.window_days} days before, and {older} older days."
        last = retrying()(catalogue.quality.latest, run.job)
        if last is not None and last.look_again:
            days = together([*days, *last.look_again])
            scope += " Where the check before found something wrong, it was looked at again."
    else:
        if oldest is not None and time_range.start < oldest < time_range.end:
            time_range = TimeRange(oldest, time_range.end)  # before it are thousands of empty days
        days = [time_range]
        scope = f"Footage and history from {time_range.start:%Y-%m-%d %H:%M} to {time_range.end:%Y-%m-%d %H:%M} UTC."
    demanded = of_days(estate, catalogue, suites, days, now=run.now)
    is_whole = time_range is None and set(suites) == set(Suite)
    words = ("Quality of the catalogue", scope)
    checked = _check(estate, catalogue, open_store, run, demanded, words, always=True, is_whole=is_whole)
    retrying()(catalogue.quality.forget, before=run.now - timedelta(days=rules.history_days))
    return checked


def check_ingested(
    estate: Estate, catalogue: Catalogue, open_store: Callable[[str], Store], run: Run
) -> Checked | None:
    """Hold what a run of ingest took in against what is expected of segments and replicas; None: it took nothing in.

    Only what is not right is recorded and reported. Errors as of `check_catalogue`.
    """
    ingested = retrying()(catalogue.quality.ingested, run.run_id)
    if ingested is None:
        return None
    segments, time_range = ingested
    demanded = of_ingest(estate, catalogue, run.run_id, time_range, now=run.now)
    scope = f"The {segments} segments that the run took in."
    return _check(estate, catalogue, open_store, run, demanded, ("Quality of what was ingested", scope), always=False)


def gate(checked: Checked, docs_at: str = "") -> None:
    """QualityFailed when an expectation that may fail a run was not met; it names the first rows, and ends with where
    its page is: the address `docs_at`, or else the key in the exports store.
    """
    failed = [result for result in checked.results if not result.success and result.severity == "fail"]
    if failed:
        reports = "no report could be written" if checked.docs is None else f"see {docs_at or repr(checked.docs)}"
        raise QualityFailed(f"{headline(checked.results)} {'; '.join(map(_described, failed))}; {reports}")


def _check(
    estate: Estate,
    catalogue: Catalogue,
    open_store: Callable[[str], Store],
    run: Run,
    demanded: Sequence[Demanded],
    words: tuple[str, str],
    *,
    always: bool,
    is_whole: bool = False,
) -> Checked:
    """Validate, report, record. Without `always` a check that finds nothing wrong leaves nothing behind."""
    from reelkeeper.quality.expectations import gx
    from reelkeeper.quality.validation import validate

    began = monotonic()
    rules = estate.quality
    timeout = timedelta(minutes=rules.timeout_minutes)
    verdicts = validate(catalogue, demanded, examples=rules.examples, timeout=timeout, progress=_Progress())
    results = [
        QualityResult(
            each.demanded.expectation.suite, each.demanded.expectation.name, each.demanded.severity, each.success,
            each.looked_at, each.wrong, each.demanded.mostly, each.examples,
        )
        for each in verdicts
    ]  # fmt: skip
    for result in results:
        _tell(result)
    if not always and not any(result.failing for result in results):
        return Checked("passed", tuple(results), None)
    folder = f"{run.job}/{run.now:%Y-%m-%d}/{run.run_id}"
    page = Page(words[0], estate.name, run.run_id, words[1], run.now, gx.__version__, rules.report_rows)
    try:
        store = open_store(estate.placement.exports_in)
        told = tuple(_reported(estate, catalogue, store, folder, *pair) for pair in zip(results, verdicts, strict=True))
        asked = [(verdict.wrong_in or verdict.demanded.parts)[0] for verdict in verdicts]
        docs = publish_page(store, f"{folder}/data_docs", page, told, asked)
    except ReelkeeperError:
        gate(Checked(outcome_of(results), tuple(results), None))  # what is wrong goes before what hinders its telling
        raise
    checked = Checked(outcome_of(told), told, docs)
    took = timedelta(seconds=monotonic() - began)
    found = QualityRun(
        run.job, run.run_id, checked.outcome, docs, run.now, run.now + took, told, is_whole, _again(verdicts, run.now)
    )
    retrying()(catalogue.quality.record, found)
    return checked


def _again(verdicts: Sequence["Verdict"], now: datetime) -> tuple[TimeRange, ...]:
    """Where something is wrong: the latest ranges, as a check must come to an end however much is. What is dated later
    than `now` is looked at by each, and what comes meanwhile by the next."""
    ranges = {part.time_range for each in verdicts if not each.success for part in each.wrong_in}
    wrong = [TimeRange(each.start, min(each.end, now)) for each in ranges if each is not None and each.start < now]
    return tuple(together(wrong)[-_MOST_AGAIN:])


def _reported(
    estate: Estate, catalogue: Catalogue, store: Store, folder: str, result: QualityResult, verdict: "Verdict"
) -> QualityResult:
    """The result, with a report of all rows that are wrong, if any are. They come and go one by one, however many."""
    if not result.failing:
        return result
    rules = estate.quality
    with Report(list(result.examples[0])) as report:
        for part in verdict.wrong_in:
            left, timeout = rules.report_rows - report.rows, timedelta(minutes=rules.timeout_minutes)
            for row in catalogue.quality.stream(part.statement, most=left, timeout=timeout) if left else ():
                report.add(*row.values())
        if report.rows >= rules.report_rows:
            log.warning("expectation %s: its report ends after %d rows of %d", result.expectation, report.rows,
                        result.failing)  # fmt: skip
        return replace(result, report_path=report.publish(store, f"{folder}/{result.expectation}"))


class _Progress:
    """Logs how far a check is: at each suite's beginning, and now and then."""

    def __init__(self) -> None:
        self._suite: Suite | None = None
        self._next = 0.0

    def __call__(self, suite: Suite, what: str, number: int, parts: int) -> None:
        if suite != self._suite or monotonic() >= self._next:
            log.info("part %d of %d: suite %s, %s", number, parts, suite, what)
            self._suite, self._next = suite, monotonic() + _SECONDS_BETWEEN_LINES


def _tell(result: QualityResult) -> None:
    """One line for an expectation that is met, one more for each example where rows are wrong."""
    level = logging.INFO if result.success else logging.ERROR if result.severity == "fail" else logging.WARNING
    log.log(level, "%s: %d of %d rows are wrong%s", result.expectation, result.failing, result.looked_at,
            "" if result.success or result.severity == "fail" else " (a warning)")  # fmt: skip
    for example in result.examples:
        log.log(level, "  %s", _row(example))


def _described(result: QualityResult) -> str:
    rows = "; ".join(f"({_row(example)})" for example in result.examples[:_MOST_IN_ERROR])
    left = result.failing - min(_MOST_IN_ERROR, len(result.examples))
    more = f" and {left} more" if left else ""
    return f"{result.expectation}: {result.failing} of {result.looked_at} rows are wrong: {rows}{more}"


def _row(example: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in example.items() if value is not None)
