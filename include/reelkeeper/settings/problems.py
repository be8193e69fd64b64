"""What is wrong with a configuration, said so that a person can put it right: key, value, expectation, origin."""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from reelkeeper.errors import ConfigurationError

Location = tuple[str | int, ...]
"""Where a value stands: ("stores", 1, "bucket")."""

_SECRET = re.compile(r"secret|passw|token|credential|access_?key|private", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. `value` is ready to print and None where there is none, or where it may be a secret."""

    key: str
    expected: str
    value: str | None = None
    origin: str = ""

    def __str__(self) -> str:
        value = f" is {self.value}" if self.value is not None else ""
        return f"{self.key}{value}: {self.expected}" + (f" (from {self.origin})" if self.origin else "")


class InvalidEstate(ConfigurationError):
    """The estate's configuration cannot be used; `problems` holds everything that is wrong with it."""

    def __init__(self, title: str, problems: Sequence[Problem]) -> None:
        self.title = title
        self.problems = tuple(problems)
        count = "1 error" if len(problems) == 1 else f"{len(problems)} errors"
        super().__init__("\n".join([f"{title}: {count}", *(f"  - {problem}" for problem in problems)]))


def dotted(location: Location, document: Mapping[str, Any] | None = None) -> str:
    """`stores[1].bucket`; with the document, `stores[1].bucket (store 'cloud')`."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    if document is not None and len(location) > 1 and isinstance(location[1], int):
        label = {"stores": "store", "landing_zones": "landing zone"}.get(str(location[0]))
        name = _at(document, (*location[:2], "name"))
        if label and isinstance(name, str):
            text += f" ({label} {name!r})"
    return text


def from_validation(error: ValidationError, document: Mapping[str, Any], origins: "Origins") -> list[Problem]:
    """Pydantic's findings as problems, in the order of the file."""
    return [_problem(details, document, origins) for details in error.errors()]


def _problem(details: ErrorDetails, document: Mapping[str, Any], origins: "Origins") -> Problem:
    location = tuple(details["loc"])
    kind, value = details["type"], details["input"]
    if kind == "missing":
        return Problem(dotted(location, document), "missing: expected a value", None, origins.of(location[:-1]))
    if kind == "extra_forbidden":
        # What is wrong is the key. Its value may be anything, such as a secret that nobody expected there.
        return Problem(dotted(location, document), _unknown_key(location, document), None, origins.of(location))
    text = shown(location, value)
    return Problem(dotted(location, document) or "estate", _expectation(details), text, origins.of(location))


def _expectation(details: ErrorDetails) -> str:
    """What was expected, from pydantic's message or from one of our own validators."""
    context = details.get("ctx", {})
    kind = details["type"]
    if kind == "value_error":
        return str(context["error"])
    if kind in ("literal_error", "enum"):
        return f"expected {context['expected']}"
    if kind == "string_pattern_mismatch":
        return f"expected a text that matches {context['pattern']}"
    if kind in ("tuple_type", "list_type"):
        return 'expected an array, such as ["a", "b"]'
    if kind in ("model_type", "dict_type", "model_attributes_type"):
        return "expected a table"
    return "expected " + details["msg"].removeprefix("Input should be ").split(", unable to")[0]


def _unknown_key(location: Location, document: Mapping[str, Any]) -> str:
    from reelkeeper.settings.estate import Estate

    key = str(location[-1])
    if _SECRET.search(key):
        return "unknown key; secrets belong in the Airflow connection or the environment, not here"
    known = known_keys(Estate, location[:-1])
    near = difflib.get_close_matches(key, known, n=1)
    return "unknown key: expected " + (f"{near[0]!r}?" if near else f"one of {known}")


def known_keys(model: Any, location: Location) -> list[str]:
    """The keys of the table at `location`."""
    for part in location:
        if isinstance(part, str):
            model = section_of(model.model_fields[part])
    return [field.alias or name for name, field in model.model_fields.items()]


def section_of(field: Any) -> Any:
    """The section that a field holds, alone, in a tuple or in a table; None when it is a plain value."""
    annotation = field.annotation
    inner = getattr(annotation, "__args__", (annotation,))
    return next((each for each in inner if hasattr(each, "model_fields")), None)


def shown(location: Location, value: object) -> str | None:
    """The value as it may be printed; None where it may not, or is a whole table: that may hold what nobody knows."""
    if _has_table(value) or any(isinstance(part, str) and _SECRET.search(part) for part in location):
        return None
    text = re.sub(r"//[^@\s]*@", "//***@", repr(value))  # also of a password with a slash in it
    return text if len(text) <= 120 else text[:117] + "…"


def _has_table(value: object) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, list | tuple) and any(map(_has_table, value)))


def _at(document: Any, location: Location) -> Any:
    """The raw value at `location`, None where there is none."""
    for part in location:
        try:
            document = document[part]
        except (KeyError, IndexError, TypeError):
            return None
    return document


class Origins:
    """Where each value came from: the file, unless an environment variable set it."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.variables: dict[Location, str] = {}

    def of(self, location: Location) -> str:
        """The origin of the value at `location`: of the smallest part that holds it and of every part that it holds."""
        for length in range(len(location), 0, -1):
            if variable := self.variables.get(location[:length]):
                return f"environment variable {variable}"
        inside = sorted({name for place, name in self.variables.items() if place[: len(location)] == location != ()})
        return " and environment variable ".join([self.file, *inside])
