"""One check by great-expectations: a checkpoint of suites, each over what its expectations look at."""

from collections.abc import Iterable, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any
from uuid import UUID

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.errors import CatalogueUnavailable
from reelkeeper.quality.expectations import (
    DataContextConfig,
    InMemoryStoreBackendDefaults,
    ProgressBarsConfig,
    RowsAreRight,
    TestConnectionError,
    gx,
)
from reelkeeper.quality.statements import Demanded

_NAME = "name"
_UNUSED_ADDRESS = "postgresql+psycopg2://reelkeeper@localhost/catalogue"
"""great-expectations wants one; `creator` opens every connection, so that it never sees the real one, or a password."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one expectation. `examples` are the first of the rows that are wrong, by column."""

    demanded: Demanded
    success: bool
    looked_at: int  # rows
    wrong: int
    examples: tuple[Mapping[str, Any], ...]


def validate(catalogue: Catalogue, demanded: Iterable[Demanded], *, examples: int, timeout: timedelta) -> list[Verdict]:
    """Hold the catalogue against what is expected of it, in the order given. No query changes anything.

    CatalogueUnavailable when a query failed or took longer than `timeout`, so that nothing is known; other errors of
    the catalogue.
    """
    wanted = {one.expectation.name: one for one in demanded}
    config = DataContextConfig(store_backend_defaults=InMemoryStoreBackendDefaults())  # nothing goes to a disk
    context = gx.get_context(mode="ephemeral", project_config=config)
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    context.enable_analytics(False)
    with _source(context, catalogue, timeout) as source:
        found = _run(context, source, wanted.values(), examples)
    verdicts = []
    for name, one in wanted.items():
        if name not in found:
            _raise_why(catalogue, one, timeout)
        verdicts.append(found[name])
    return verdicts


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


def _run(context: Any, source: Any, demanded: Iterable[Demanded], examples: int) -> dict[str, Verdict]:
    """The verdicts by name; an expectation whose query failed has none."""
    wanted = {str(one.expectation.name): one for one in demanded}
    definitions = [
        context.validation_definitions.add(_definition(context, source, name, list(those), looks_at, examples))
        for (name, looks_at), those in groupby(sorted(wanted.values(), key=_batch_of), key=_batch_of)
    ]
    checkpoint = context.checkpoints.add(
        gx.Checkpoint(name="catalogue", validation_definitions=definitions, result_format="COMPLETE")
    )
    results = checkpoint.run().run_results.values()
    return {
        result.expectation_config.meta[_NAME]: _verdict(wanted[result.expectation_config.meta[_NAME]], result)
        for suite in results
        for result in suite.results
        if "observed_value" in result.result
    }


def _batch_of(demanded: Demanded) -> tuple[str, str]:
    return demanded.expectation.suite, demanded.looks_at


def _definition(
    context: Any, source: Any, suite_name: str, demanded: list[Demanded], looks_at: str, examples: int
) -> Any:
    """One suite over one batch. A suite whose expectations look at different things is several here."""
    name = f"{suite_name}: {demanded[0].expectation.looks_at}"
    asset = source.add_query_asset(name, query=f"SELECT * FROM ({looks_at}) AS looked")  # noqa: S608  (ours, bound)
    suite = context.suites.add(gx.ExpectationSuite(name))
    for one in demanded:
        suite.add_expectation(
            RowsAreRight.of(
                one.wrong_rows,
                examples=examples,
                mostly=one.mostly,
                severity="critical" if one.severity == "fail" else "warning",
                description=one.expectation.says,
                meta={_NAME: str(one.expectation.name)},
            )
        )
    return gx.ValidationDefinition(name=name, data=asset.add_batch_definition_whole_table("all"), suite=suite)


def _verdict(demanded: Demanded, result: Any) -> Verdict:
    told = result.result
    rows = tuple({name: _plain(value) for name, value in row.items()} for row in told["details"]["unexpected_rows"])
    return Verdict(demanded, bool(result.success), told["element_count"], told["observed_value"], rows)


def _plain(value: object) -> object:
    """A column's value as JSON has it."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, (UUID, date)):
        return str(value)
    return float(value) if isinstance(value, Decimal) else value


def _raise_why(catalogue: Catalogue, demanded: Demanded, timeout: timedelta) -> None:
    """great-expectations keeps errors as texts: ask once more, by way of what knows their kinds."""
    for _ in catalogue.quality.stream(demanded.statement, most=1, timeout=timeout):
        break
    name = str(demanded.expectation.name)
    raise CatalogueUnavailable(f"expectation {name!r} could not be looked into: expected an answer to its query")
