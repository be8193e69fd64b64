"""Data Docs: what a check found, as one page that needs nothing from outside and runs no script.

great-expectations' own site takes its scripts, styles and fonts from other people's servers whenever it is looked at,
which a closed network does not allow and a page about footage should not do. This one is made of the same results.
"""

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from reelkeeper.catalogue.quality import Outcome, QualityResult
from reelkeeper.model import Key
from reelkeeper.policy.quality import EXPECTATIONS
from reelkeeper.quality.statements import Part
from reelkeeper.reports import publish
from reelkeeper.stores.body import Body
from reelkeeper.stores.protocols import Writes

_TEMPLATE = "data_docs.html.j2"
_UTC = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d(?:\.\d+)?)\+00:00")
_MOST_CHARACTERS = (27, 36)
"""Of a time with microseconds; of an id."""
_SAYS = {expectation.name: expectation.says for expectation in EXPECTATIONS}


@dataclass(frozen=True, slots=True)
class Page:
    """What the page says beside the results."""

    title: str
    estate: str
    run_id: str
    scope: str  # what was looked at, in a sentence
    now: datetime
    gx_version: str
    report_rows: int  # that a report has at most


def publish_page(store: Writes, name: str, page: Page, results: Sequence[QualityResult], asked: Sequence[Part]) -> Key:
    """Write the page as `reports/{name}.html`; where it lies. `asked` has a part that each result is of,
    in their order.

    Errors of the store.
    """
    return publish(store, name, "html", Body.of_bytes(render(page, results, asked).encode()))


def render(page: Page, results: Sequence[QualityResult], asked: Sequence[Part]) -> str:
    """The page, as HTML. Everything in it that comes from the catalogue is escaped."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    cards = [_card(result, part, page.report_rows) for result, part in zip(results, asked, strict=True)]
    suites = [
        {"name": suite, "cards": list(those)} for suite, those in groupby(cards, key=lambda card: str(card["suite"]))
    ]
    return environment.get_template(_TEMPLATE).render(
        title=page.title, estate=page.estate, run_id=page.run_id, scope=page.scope, now=page.now,
        gx_version=page.gx_version, outcome=outcome_of(results), headline=headline(results), suites=suites,
        unmet=[card for card in cards if card["outcome"] != "passed"],
    )  # fmt: skip


def outcome_of(results: Sequence[QualityResult]) -> Outcome:
    """Of a whole check: the worst of its results."""
    outcomes = {_outcome(result) for result in results}
    return "failed" if "failed" in outcomes else "warned" if "warned" in outcomes else "passed"


def headline(results: Sequence[QualityResult]) -> str:
    """What came of a check, in a sentence."""
    failed, warned = (sum(_outcome(result) == kind for result in results) for kind in ("failed", "warned"))
    if not failed and not warned:
        return f"All {len(results)} expectations are met."
    told = [f"{count} {word}" for count, word in ((failed, "failed"), (warned, "only warned")) if count]
    return f"Of {len(results)} expectations {' and '.join(told)}."


def _outcome(result: QualityResult) -> Outcome:
    if result.success:
        return "passed"
    return "failed" if result.severity == "fail" else "warned"


def _columns(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """Names, times and numbers first, then ids, then what is long and wraps; else in the order of the query."""
    if not rows:
        return []
    widths = {name: max(len(row[name]) for row in rows) for name in rows[0]}
    return sorted(widths, key=lambda name: bisect_left(_MOST_CHARACTERS, widths[name]))


def _shown(value: object) -> str:
    """A value of a row; a time in UTC as short as it can be, which our forms and SQL take as well."""
    return "" if value is None else _UTC.sub(r"\1 \2Z", str(value))


def _card(result: QualityResult, part: Part, report_rows: int) -> dict[str, Any]:
    """One expectation, as the template has it."""
    told = f"{result.failing:,} wrong; {result.looked_at:,} looked at"
    if result.mostly < 1:
        told += f"; {result.mostly:.4%} of them must be right".replace(".0000%", " %")
    shown = [{name: _shown(value) for name, value in row.items()} for row in result.examples]
    report = result.report_path.rpartition("/")[2] if result.report_path else None
    rows = "All wrong rows" if result.failing <= report_rows else f"The first {report_rows:,} wrong rows"
    return {
        "suite": result.suite, "name": str(result.expectation), "says": _SAYS[result.expectation],
        "outcome": _outcome(result), "told": told, "failing": result.failing, "rows": shown,
        "columns": _columns(shown),
        "report": report, "report_says": f"{rows} ({report})", "query": part.statement,
        "query_says": "The query that finds the wrong rows" + (f" (here of {part.what})" if part.what != "all" else ""),
    }  # fmt: skip
