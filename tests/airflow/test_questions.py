"""What people are asked, as far as each may see it: from Airflow's own database."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from reelkeeper_airflow.api import questions as api
from tests.airflow.conftest import Ask

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.fixture(name="rights")
def _rights(monkeypatch: pytest.MonkeyPatch) -> dict[str, set[str]]:
    """What the user may do with which DAGs' questions, by method."""
    rights: dict[str, set[str]] = {"GET": set(), "PUT": set()}

    class Manager:
        def is_authorized_dag(self, *, method: str, details: Any, **_: Any) -> bool:
            return details.id in rights[method]

    monkeypatch.setattr(api, "get_auth_manager", Manager)
    return rights


def found(**others: Any) -> api.Questions:
    return api.open_questions(None, now=NOW + timedelta(hours=1), **others)  # type: ignore[arg-type]


def test_what_a_user_may_not_see_hides_nothing_of_what_they_may(ask: Ask, rights: dict[str, set[str]]) -> None:
    """Six hundred older questions of others."""
    ask("theirs", *[f"theirs {number}" for number in range(600)], at=NOW - timedelta(days=1))
    ask("ours", *[f"ours {number}" for number in range(12)], at=NOW)
    rights["GET"] = {"ours"}
    told = found()
    assert told.found == 12
    assert [question.subject for question in told.shown] == [f"ours {number}" for number in range(10)]
    rights["GET"] = {"ours", "theirs"}
    told = found()
    assert (told.found, {question.dag_id for question in told.shown}) == (612, {"theirs"})  # the oldest first
    rights["GET"] = set()
    assert found() == api.Questions((), 0)


def test_only_what_is_open_and_ours_is_asked(ask: Ask, rights: dict[str, set[str]]) -> None:
    ask("answered", "old", responded_at=NOW, at=NOW)
    ask("ended", "gone", state="failed", at=NOW)
    ask("foreign", "not ours", tag="something else", at=NOW)
    ask("waiting", "one", state="deferred", at=NOW)
    rights["GET"] = {"answered", "ended", "foreign", "waiting"}
    told = found()
    assert [(question.subject, question.asked) for question in told.shown] == [("one", "1 h 00 min")]
    assert told.found == 1


def test_who_may_see_and_not_answer_is_told_so(ask: Ask, rights: dict[str, set[str]]) -> None:
    ask("a", "of a", at=NOW)
    ask("b", "of b", at=NOW + timedelta(seconds=1))
    rights["GET"], rights["PUT"] = {"a", "b"}, {"b"}
    told = found()
    assert [(question.dag_id, question.may_answer) for question in told.shown] == [("a", False), ("b", True)]
    assert told.shown[0].path == "dags/a/runs/manual__1/tasks/approve/mapped/0/required_actions"
