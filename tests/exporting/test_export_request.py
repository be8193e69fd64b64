"""An export is accepted and holds its footage, or refused with a row that says why; asking again is harmless."""

import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from reelkeeper.catalogue.export_records import Export
from reelkeeper.errors import ConfigurationError, NoFootage, PermanentError, RequestRefused
from reelkeeper.exporting.job import Asked, accept_export, export_id
from tests.exporting.conftest import NOW, START, Rig


def failed(rig: Rig, run_id: str = "run") -> Export:
    found = rig.catalogue.exports.get(export_id(run_id))
    assert found is not None
    assert found.status == "FAILED"
    return found


def test_an_accepted_export_holds_its_footage(rig: Rig) -> None:
    [segment] = rig.record([0])
    export = rig.accept("gate", watermark=True, expiry_days=3)
    assert (export.status, export.progress, export.store) == ("PENDING", 0, "cloud")
    assert rig.held() == [f"export {export.id} is under way"]
    [lock] = rig.catalogue.locks.on([segment.id], [segment.camera_id], now=NOW)
    assert (lock.kind, lock.camera_id, lock.start_time) == ("export", segment.camera_id, START)
    assert export.request is not None
    assert export.request.watermark == "exported by ann"
    assert export.watermark_id is not None
    assert export.expires_at > NOW + timedelta(days=3)
    [(request,)] = rig.sql("SELECT request FROM exports")
    assert request["camera_ids"] == ["gate"]


def test_asking_again_for_the_same_is_harmless_and_for_something_else_refused(rig: Rig) -> None:
    rig.record([0])
    export = rig.accept("gate")
    assert rig.accept("gate") == export
    assert rig.catalogue.exports.under_way() == 1
    assert rig.accept(str(export.camera_ids[0]), user_agent="curl") == export  # the same camera, by its id
    with pytest.raises(RequestRefused, match="there is an export of this id with other terms"):
        rig.accept("gate", quality="720p")
    with pytest.raises(RequestRefused, match="run 'run' is making it"):
        rig.accept("gate", run_id="other", export_id=str(export.id))
    assert [(found.status, found.run_id) for found in [rig.catalogue.exports.get(export.id)] if found] == [
        ("PENDING", "run")
    ]


def test_a_run_that_is_dead_is_followed_by_another(rig: Rig) -> None:
    rig.record([0])
    export = rig.accept("gate")
    given = {"camera_ids": ["gate"], "start_time": "2026-03-01T10:00:00Z", "end_time": "2026-03-01T10:00:08Z",
             "reason": "incident 42", "created_by": "ann"}  # fmt: skip
    asked = Asked(export.id, export.tenant, "other", given)
    again = accept_export(rig.estate, rig.catalogue, rig.open_store, asked, now=NOW, is_running=lambda run: False)
    assert (again.id, again.run_id, again.status) == (export.id, "other", "PENDING")


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"camera_ids": ["gaet"]}, "unknown camera 'gaet'.*did you mean one of .'gate'"),
        ({"camera_ids": [str(uuid4())]}, "unknown camera"),
        ({"end_time": "2026-03-01T09:00:00Z"}, "expected a time after start_time"),
        ({"end_time": "2026-03-03T00:00:00Z"}, "expected a time that is not after now"),
        ({"start_time": "2026-03-01T10:00:00"}, "expected an ISO 8601 time with a zone"),
        ({"reason": ""}, "reason is ''"),
    ],
)
def test_a_refused_request_is_kept_with_its_reason(rig: Rig, fields: dict[str, Any], told: str) -> None:
    rig.record([0])
    with pytest.raises(RequestRefused, match=told) as refused:
        rig.accept("gate", **fields)
    found = failed(rig)
    assert (found.failure_code, found.failure) == ("request_refused", str(refused.value))
    assert found.request is None
    assert rig.held() == []
    assert rig.catalogue.exports.under_way() == 0
    [(request,)] = rig.sql("SELECT request FROM exports")
    assert json.dumps(request).count(next(iter(fields))) == 1


def test_an_estate_that_can_make_none_says_so_in_the_row(rig: Rig) -> None:
    def without_key() -> None:
        raise ConfigurationError("no key")

    rig.record([0])
    with pytest.raises(ConfigurationError, match="no key"):
        rig.accept("gate", expect_ready=without_key)
    assert failed(rig).failure == "configuration; the task's log says more"  # the key's folder is nobody's business


def test_a_camera_that_is_named_twice_is_refused(rig: Rig) -> None:
    [segment] = rig.record([0])
    with pytest.raises(RequestRefused, match="expected each camera once"):
        rig.accept("gate", str(segment.camera_id))


def test_cameras_without_any_footage_are_refused_and_one_without_is_not(rig: Rig) -> None:
    rig.record([0])
    rig.record([100], camera="yard")
    with pytest.raises(NoFootage, match=r"none of the cameras \['yard'\] has footage from 2026-03-01T10:00:00"):
        rig.accept("yard", run_id="empty")
    assert failed(rig, "empty").failure_code == "no_footage"
    assert rig.accept("yard", "gate").status == "PENDING"


def test_one_that_failed_begins_anew_and_one_that_expired_does_not(rig: Rig) -> None:
    rig.record([0])
    with pytest.raises(RequestRefused):
        rig.accept("gate", reason="")
    assert rig.accept("gate").status == "PENDING"
    export = rig.accept("gate")
    assert rig.fail(export, "a person stopped it")
    assert (failed(rig).failure, rig.held()) == ("a person stopped it", [])
    with pytest.raises(PermanentError, match=r"is FAILED .a person stopped it.: expected one under way"):
        rig.cut(export)
    assert rig.accept("gate").failure is None
    assert rig.catalogue.exports.expire([export.id], now=export.expires_at) == 1
    with pytest.raises(RequestRefused, match="that export expired at"):
        rig.accept("gate")
