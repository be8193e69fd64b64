"""The index of all DAGs, from their docstrings and forms: `python -m reelkeeper_airflow.dag_index docs/dags.md`."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from airflow.sdk import DAG

_HEAD = """\
# The DAGs

Generated from the docstrings in `dags/` by `python -m reelkeeper_airflow.dag_index docs/dags.md`; do not edit.
"""


def read_dags(folder: Path) -> "list[DAG]":
    """The DAGs of a folder, by id. RuntimeError when a file cannot be read."""
    from airflow.dag_processing.dagbag import BundleDagBag

    bag = BundleDagBag(dag_folder=folder, bundle_path=folder, bundle_name="dags-folder")
    if bag.import_errors:
        raise RuntimeError(f"DAG files cannot be read: {bag.import_errors}")
    return [dag for _, dag in sorted(bag.dags.items())]


def index(dags: "Iterable[DAG]") -> str:
    """The index as Markdown: a table of all, then each one's runbook and form."""
    rows, chapters = [], []
    for dag in dags:
        purpose, _, rest = (dag.doc_md or "").strip().partition("\n")
        rows.append(f"| [`{dag.dag_id}`](#{dag.dag_id}) | {_schedule(dag)} | {purpose} |")
        chapters += [f"\n## {dag.dag_id}\n", purpose, *([rest.rstrip()] if rest.strip() else []), *_form(dag)]
    return "\n".join([_HEAD, "| DAG | Schedule | What it does |", "|---|---|---|", *rows, *chapters]) + "\n"


def _schedule(dag: "DAG") -> str:
    expression = getattr(dag.timetable, "expression", None)
    return f"`{expression}`" if expression else "by hand"


def _form(dag: "DAG") -> list[str]:
    params = [(name, dag.params.get_param(name)) for name in dag.params]
    if not params:
        return []
    lines = ["\n| Parameter | Default | |", "|---|---|---|"]
    for name, param in params:
        lines.append(f"| `{name}` | `{json.dumps(param.value)}` | {param.description} |")
    return lines


@click.command(help=__doc__)
@click.argument("output", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--dags", "folder", default="dags", type=click.Path(exists=True, file_okay=False, path_type=Path))
def main(output: Path, folder: Path) -> None:
    output.write_text(index(read_dags(folder.resolve())), encoding="utf-8")


if __name__ == "__main__":
    main()
