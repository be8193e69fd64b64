"""What the documents lead to is there: files, headings, and the pages of all decisions."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from reelkeeper import errors
from reelkeeper.policy.alarms import AlarmTerms, alarms

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
_LINK = re.compile(r"""\]\(([^)\s]+)\)|(?:src|href)="([^"]+)\"""")
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def anchors(document: Path) -> set[str]:
    """What GitHub makes of the headings: lower case, no punctuation, `-` for spaces, and a number for a repetition."""
    found: dict[str, int] = {}
    for line in _FENCE.sub("", document.read_text(encoding="utf-8")).splitlines():
        if heading := re.match(r"#{1,6} (.+)", line):
            text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading[1])
            slug = re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")
            found[slug] = found.get(slug, -1) + 1
    return {f"{slug}-{number}" if number else slug for slug, most in found.items() for number in range(most + 1)}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(document: Path) -> None:
    text = _FENCE.sub("", document.read_text(encoding="utf-8"))
    links = [first or second for first, second in _LINK.findall(text)]
    lost = []
    for link in links:
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            lost.append(link)
    assert not lost


def test_every_decision_is_in_the_list() -> None:
    folder = ROOT / "docs/decisions"
    listed = (folder / "README.md").read_text(encoding="utf-8")
    for page in sorted(folder.glob("0*.md")):
        number, title = page.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ").split(". ", 1)
        assert f"| {number} | [{title}]({page.name}) |" in listed


def test_the_runbook_lists_its_own_parts() -> None:
    """The table of contents at the top has each part of the text, and nothing else."""
    contents, _, rest = (ROOT / "docs/operations.md").read_text(encoding="utf-8").partition("\n## ")
    parts = re.findall(r"^## (.+)$", "## " + rest, re.MULTILINE)
    assert re.findall(r"\[([^\]]+)\]\(#", contents.partition("<!-- contents -->")[2]) == parts


def test_the_runbook_knows_each_reason_of_quarantine() -> None:
    """Of `InvalidFootage`, where footage comes in."""
    core = ROOT / "include/reelkeeper"
    sources = [
        *core.glob("ingest/*.py"),
        *core.glob("landing/*.py"),
        core / "media/probe.py",
        core / "media/structure.py",
    ]
    raised = {code for source in sources for code in re.findall(r'\bcode="(\w+)"', source.read_text(encoding="utf-8"))}
    part = (ROOT / "docs/operations.md").read_text(encoding="utf-8").partition("## A file is in quarantine")[2]
    told = {
        code
        for row in re.findall(r"^\| (`.+?) \|", part.partition("\n## ")[0], re.MULTILINE)
        for code in row.split(", ")
    }
    assert {
        f"`{code}`" for code in raised - {"no_picture"}
    } == told  # that one is of a thumbnail, and sets no file aside


def test_the_runbook_names_errors_that_there_are() -> None:
    part = (
        (ROOT / "docs/operations.md").read_text(encoding="utf-8").partition("## A run failed")[2].partition("\n## ")[0]
    )
    named = re.findall(r"`([A-Z][a-z]+(?:[A-Z][a-z]+)+)`", part)
    assert len(named) > 10
    assert [name for name in named if not hasattr(errors, name)] == []


def test_the_runbook_lists_each_alarm_as_severe_as_it_is() -> None:
    terms = AlarmTerms(0.05, 30, None, 45, 24, timedelta(minutes=30))
    text = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    told = dict(re.findall(r"^\| \[`(\w+)`\]\(#\1\) \| (\w+) \|", text, re.MULTILINE))
    assert told == {name: alarm.severity for name, alarm in alarms(terms).items()}
    for name, severity in told.items():
        assert text.partition(f"### `{name}`\n\n")[2].startswith(severity.capitalize() + ": "), name


def test_the_words_are_in_order_and_told_once() -> None:
    told = re.findall(r"^\| \*\*([^*]+)\*\*", (ROOT / "docs/words.md").read_text(encoding="utf-8"), re.MULTILINE)
    words = [word for each in told for word in each.split(", ")]
    assert len(words) == len(set(words)) > 40


def test_readme_lists_each_dag() -> None:
    told = re.findall(r"^\| `(\w+)` \| ", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(told) == sorted(path.stem for path in (ROOT / "dags").glob("*.py"))
