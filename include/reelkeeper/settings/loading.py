"""From file and environment to an estate, or to the list of everything that is wrong."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from reelkeeper.settings.checks import Parts, contradictions
from reelkeeper.settings.environment import Overrides
from reelkeeper.settings.estate import Estate
from reelkeeper.settings.problems import InvalidEstate, Origins, Problem, dotted, from_validation, shown
from reelkeeper.settings.sections.delivery import Delivery
from reelkeeper.settings.sections.intake import LandingZone
from reelkeeper.settings.sections.keeping import Verification
from reelkeeper.settings.sections.placement import Placement
from reelkeeper.settings.sections.section import Section
from reelkeeper.settings.sections.stores import StoreSettings
from reelkeeper.settings.sections.watching import Alarms

_S = TypeVar("_S", bound=Section)


@dataclass(frozen=True, slots=True)
class LoadedEstate:
    """An estate, the file it comes from, the variable behind each overridden key, and what was left alone and why."""

    estate: Estate
    path: Path
    overrides: Mapping[str, str]
    notes: tuple[str, ...]


def load_estate(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Estate:
    """The estate of `path`, else $REELKEEPER_ESTATE, else ./estate.toml. InvalidEstate tells all errors at once."""
    return read_estate(path, environ).estate


def estate_path(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Path:
    """The file that `load_estate` would read."""
    return path or Path(environ.get("REELKEEPER_ESTATE") or "estate.toml")


def read_estate(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> LoadedEstate:
    """As `load_estate`, with where the values come from."""
    path = estate_path(path, environ)
    document = _parse(path)
    origins = Origins(str(path))
    overrides = Overrides(document, environ, origins)
    overrides.apply()
    problems = list(overrides.problems)
    estate = None
    try:
        estate = Estate.model_validate(document)
    except ValidationError as error:
        problems += from_validation(error, document, origins)
    for location, value, expected in contradictions(_parts(document)):
        text = shown(location, value) if value is not None else None
        problems.append(Problem(dotted(location, document), expected, text, origins.of(location)))
    if problems or estate is None:
        raise InvalidEstate(f"estate {str(path)!r} cannot be used", problems)
    places = {dotted(location): variable for location, variable in origins.variables.items()}
    return LoadedEstate(estate, path, places, tuple(overrides.notes))


def _parse(path: Path) -> dict[str, Any]:
    wanted = "expected the estate's configuration; REELKEEPER_ESTATE names another place"
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as exc:
        raise InvalidEstate(
            "no estate", [Problem("file", f"no such file: {wanted}", repr(str(path.absolute())))]
        ) from exc
    except OSError as exc:
        found = Problem("file", f"cannot be read ({exc.strerror}): {wanted}", repr(str(path.absolute())))
        raise InvalidEstate("no estate", [found]) from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        found = Problem("file", f"expected TOML in UTF-8; {exc}", repr(str(path)))
        raise InvalidEstate(f"estate {str(path)!r} cannot be used", [found]) from exc


def _parts(document: Mapping[str, Any]) -> Parts:
    """The parts that are right by themselves, so that they can be held against one another although others are not."""
    stores, zones = _valid(StoreSettings, document, "stores"), _valid(LandingZone, document, "landing_zones")
    names = [row.get("name") for row in _rows(document, "stores") if isinstance(row, dict)]
    return Parts(
        stores,
        zones,
        placement=_try(Placement, document.get("placement")),
        delivery=_try(Delivery, document.get("delivery", {})),
        verification=_try(Verification, document.get("verification", {})),
        alarms=_try(Alarms, document.get("alarms", {})),
        store_names=tuple(dict.fromkeys(str(name) for name in names if name)),
    )


def _valid(section: type[_S], document: Mapping[str, Any], table: str) -> dict[int, _S]:
    tried = ((index, _try(section, row)) for index, row in enumerate(_rows(document, table)))
    return {index: row for index, row in tried if row is not None}


def _rows(document: Mapping[str, Any], table: str) -> list[Any]:
    rows = document.get(table)
    return rows if isinstance(rows, list) else []


def _try(section: type[_S], raw: Any) -> _S | None:
    try:
        return section.model_validate(raw)
    except ValidationError:
        return None
