"""One check by great-expectations: suites, each over what its expectations look at, a part of it after another."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.errors import CatalogueUnavailable
from reelkeeper.policy.quality import Suite, is_met
from reelkeeper.quality.expectations import (
    DataContextConfig,
    InMemoryStoreBackendDefaults,
    ProgressBarsConfig,
    RowsAreRight,
    TestConnectionError,
    gx,
)
from reelkeeper.quality.statements import Demanded, Part

_NAME = "name"
_UNUSED_ADDRESS = "postgresql+psycopg2://reelkeeper@localhost/catalogue"
"""great-expectations wants one; `creator` opens every connection, so that it never sees the real one, or a password."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one expectation, of all the parts that were asked about. `examples` are the first of the rows that
    are wrong, by column."""

    demanded: Demanded
    looked_at: int = 0  # rows
    wrong: int = 0
    examples: tuple[Mapping[str, Any], ...] = ()
    wrong_in: tuple[Part, ...] = ()  # the parts in which rows are wrong

    @property
    def success(self) -> bool:
        """Whether enough of the rows that were looked at are right."""
        return is_met(looked_at=self.looked_at, wrong=self.wrong, mostly=self.demanded.mostly)

    def plus(self, part: Part, answer: Mapping[str, Any], *, examples: int) -> "Verdict":
        """With what great-expectations answered about another part, and as many examples at most."""
        wrong, rows = answer["observed_value"], answer["details"]["unexpected_rows"][: examples - len(self.examples)]
        return replace(
            self,
            looked_at=self.looked_at + answer["element_count"],
            wrong=self.wrong + wrong,
            examples=(*self.examples, *({name: _plain(value) for name, value in row.items()} for row in rows)),
            wrong_in=(*self.wrong_in, part) if wrong else self.wrong_in,
        )


def validate(
    catalogue: Catalogue, demanded: Iterable[Demanded], *, examples: int, timeout: timedelta,
    progress: Callable[[Suite, str, int, int], None] | None = None,
) -> list[Verdict]:  # fmt: skip
    """Hold the catalogue against what is expected of it; the verdicts in the order given. No query changes anything.

    A suite is asked about one part after another; each query is a transaction of its own. `progress` is told, before
    each part, the suite, what it is of, its number from 1 on, and how many there are. CatalogueUnavailable when a query
    failed or took longer than `timeout`, so that nothing is known; other errors of the catalogue.
    """
    verdicts = {str(one.expectation.name): Verdict(one) for one in demanded}
    config = DataContextConfig(store_backend_defaults=InMemoryStoreBackendDefaults())  # nothing goes to a disk
    context = gx.get_context(mode="ephemeral", project_config=config)
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    context.enable_analytics(False)
    questions = _questions([verdict.demanded for verdict in verdicts.values()])
    with _source(context, catalogue, timeout) as source:
        for done, (those, number) in enumerate(questions, 1):
            if progress:
                progress(those[0].expectation.suite, those[0].parts[number].what, done, len(questions))
            answers = _ask(source, f"question {done}", those, number, examples)
            for one in those:
                name = str(one.expectation.name)
                if name not in answers:
                    _raise_why(catalogue, one, one.parts[number], timeout)
                verdicts[name] = verdicts[name].plus(one.parts[number], answers[name], examples=examples)
    return list(verdicts.values())


def _questions(demanded: Iterable[Demanded]) -> list[tuple[list[Demanded], int]]:
    """What is asked together: the expectations of a suite that look at the same, and the number of a part of it."""
    alike: dict[tuple[Suite, str], list[Demanded]] = {}
    for one in demanded:
        alike.setdefault((one.expectation.suite, one.expectation.looks_at), []).append(one)
    return [(those, number) for those in alike.values() for number in range(len(those[0].parts))]


@contextmanager
def _source(context: Any, catalogue: Catalogue, timeout: timedelta) -> Any:
    try:
        source = context.data_sources.add_postgres(
            "catalogue",
            connection_string=_UNUSED_ADDRESS,
            kwargs={"creator": lambda: catalogue.quality.connect(timeout)},
        )
    except TestConnectionError as exc:
        raise CatalogueUnavailable(f"the catalogue did not answer great-expectations: {exc}") from exc
    with closing(_Engines(source)):
        yield source


class _Engines:
    """Closes what great-expectations leaves open: its source has one engine to test with, and one that works."""

    def __init__(self, source: Any) -> None:
        self._source = source

    def close(self) -> None:
        self._source.get_execution_engine().close()
        self._source.get_engine().dispose()


def _ask(
    source: Any, question: str, demanded: Iterable[Demanded], number: int, examples: int
) -> dict[str, Mapping[str, Any]]:
    """What great-expectations answers about a part, by expectation; one whose query failed has no answer."""
    suite = gx.ExpectationSuite(question)
    for one in demanded:
        suite.add_expectation(
            RowsAreRight.of(
                one.parts[number].wrong_rows,
                examples=examples,
                mostly=one.mostly,
                severity="critical" if one.severity == "fail" else "warning",
                description=one.expectation.says,
                meta={_NAME: str(one.expectation.name)},
            )
        )
        looks_at = one.parts[number].looks_at
    asset = source.add_query_asset(question, query=f"SELECT * FROM ({looks_at}) AS looked")  # noqa: S608  (ours, bound)
    batch = asset.add_batch_definition_whole_table("all").get_batch()
    results = batch.validate(suite, result_format="COMPLETE").results
    source.delete_asset(question)
    return {
        result.expectation_config.meta[_NAME]: result.result for result in results if "observed_value" in result.result
    }


def _plain(value: object) -> object:
    """A column's value as JSON has it."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, (UUID, date)):
        return str(value)
    return float(value) if isinstance(value, Decimal) else value


def _raise_why(catalogue: Catalogue, demanded: Demanded, part: Part, timeout: timedelta) -> None:
    """great-expectations keeps errors as texts: ask once more, by way of what knows their kinds."""
    for _ in catalogue.quality.stream(part.statement, most=1, timeout=timeout):
        break
    name = str(demanded.expectation.name)
    raise CatalogueUnavailable(f"expectation {name!r} could not be looked into: expected an answer to its query")
