"""docker-compose.yaml as Docker reads it: parsed, anchors and merges resolved, then variables put into its texts."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
RAW: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yaml").read_text(encoding="utf-8"))
_VARIABLE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<name>\w+)(?:(?P<how>:[-?]|-)(?P<word>[^}]*))?\}|(?P<odd>.?))")

_OPTIONAL = (":-", "-")  # the second takes an empty variable as it is


@dataclass(frozen=True)
class Variable:
    """One use of a variable. `default` is None where it is required."""

    name: str
    default: str | None
    refusal: str  # what Docker says where a required one is missing


def variables() -> Iterator[Variable]:
    """Every use. ValueError for a dollar sign that means something else."""
    for text in _texts(RAW):
        for match in _VARIABLE.finditer(text):
            if match["odd"] is not None:
                raise ValueError(
                    f"{text!r} has a dollar sign: expected '${{NAME:-default}}', '${{NAME:?text}}' or '$$'"
                )
            if not match["dollar"]:
                default = match["word"] if match["how"] in _OPTIONAL else None
                yield Variable(match["name"], default, "" if default is not None else match["word"] or "")


def read(environ: Mapping[str, str]) -> dict[str, Any]:
    """The file with these variables. KeyError for a required one that is missing or empty."""

    def value(match: re.Match[str]) -> str:
        if match["dollar"]:
            return "$"
        given = environ.get(match["name"])
        if given or (given is not None and match["how"] == "-"):
            return given
        if match["how"] in _OPTIONAL:
            return str(match["word"])
        raise KeyError(match["name"])

    def filled(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: filled(inner) for key, inner in node.items()}
        if isinstance(node, list):
            return [filled(inner) for inner in node]
        return _VARIABLE.sub(value, node) if isinstance(node, str) else node

    found: dict[str, Any] = filled(RAW)
    return found


def parsed_env(text: str) -> dict[str, str]:
    """What a file of variables says."""
    return dict(line.split("=", 1) for line in text.splitlines() if line and not line.startswith("#"))


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for inner in node.values():
            yield from _texts(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from _texts(inner)
    elif isinstance(node, str):
        yield node
