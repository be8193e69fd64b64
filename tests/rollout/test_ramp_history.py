"""The ramp on a real catalogue: measured from the history of transfers, decided once a run, in force at once."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg2
import pytest

from reelkeeper import ramp
from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.partitions import HISTORY
from reelkeeper.errors import ConfigurationError
from reelkeeper.model import StoreKind, StoreName
from reelkeeper.policy.placement import place
from reelkeeper.policy.rollout import Percentage
from reelkeeper.settings import Estate, Placement, Rollout, StoreSettings

NOW = datetime(2026, 3, 20, 3, 30, tzinfo=UTC)
DAY, WEEK = timedelta(days=1), timedelta(days=7)
CLOUD, DISK = StoreName("cloud"), StoreName("disk")


def estate(percentage: float = 10, advance: str = "automatic", mode: str = "hybrid", **rollout: Any) -> Estate:
    return Estate(
        stores=(StoreSettings(name="disk", kind=StoreKind.FILESYSTEM, root="/footage"),
                StoreSettings(name="cloud", kind=StoreKind.MINIO, bucket="recordings")),
        placement=Placement(mode=mode, local_store="disk", cloud_store="cloud"),
        rollout=Rollout(percentage=Percentage.of(percentage), advance=advance, **rollout),
    )  # fmt: skip


Transferred = Callable[..., None]


@pytest.fixture
def transferred(catalogue: Catalogue, catalogue_dsn: str) -> Transferred:
    """Puts transfers into the history: `number` that ended at `at`, the first `failed` of which failed."""

    def add(
        number: int, failed: int = 0, *, at: datetime = NOW - DAY, seconds: float = 5, store: StoreName = CLOUD,
        job: str = "migrate", error_code: str = "access_denied",
    ) -> None:  # fmt: skip
        catalogue._session.ensure_partitions(HISTORY, [at])
        with (
            psycopg2.connect(catalogue_dsn, options="-c search_path=reelkeeper") as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(
                "INSERT INTO transfers (segment_id, start_time, job, batch_id, destination_store, outcome,"
                " error_code, size_bytes, started_at, finished_at)"
                " SELECT gen_random_uuid(), %(at)s, %(job)s, gen_random_uuid(), %(store)s,"
                " CASE WHEN i <= %(failed)s THEN 'failed' ELSE 'succeeded' END,"
                " CASE WHEN i <= %(failed)s THEN %(code)s END, 1000, %(at)s::timestamptz - %(took)s, %(at)s"
                " FROM generate_series(1, %(number)s) AS i",
                {"at": at, "job": job, "store": store, "failed": failed, "code": error_code, "number": number,
                 "took": timedelta(seconds=seconds)},
            )  # fmt: skip
        connection.close()

    return add


def step(catalogue: Catalogue, at: datetime, of: Estate | None = None, **more: Any) -> tuple[str, str]:
    """The decision of the run of that time."""
    done = ramp.take_step(of or estate(), catalogue, run_id=f"run {at}", now=at, **more)
    return done.action, str(Percentage(done.to_buckets))


def test_a_ramp_from_its_start_to_the_end(catalogue: Catalogue, transferred: Transferred) -> None:
    assert ramp.current_percentage(estate(), catalogue) == Percentage(1000)
    assert step(catalogue, NOW) == ("start", "10 %")
    reached = []
    for week in range(1, 6):
        moment = NOW + week * WEEK
        transferred(200, at=moment - DAY)
        assert step(catalogue, moment - DAY / 2)[0] == "hold"  # the dwell time is not over
        reached.append(step(catalogue, moment))
        assert str(ramp.current_percentage(estate(), catalogue)) == reached[-1][1]
    assert reached == [("advance", "25 %"), ("advance", "50 %"), ("advance", "75 %"), ("advance", "100 %"),
                       ("hold", "100 %")]  # fmt: skip
    history = catalogue.rollout.history(100)
    assert len(history) == 11
    assert history[1].transfers == 200
    assert (history[1].failure_ratio, history[1].upload_seconds) == (0.0, 5.0)
    lines = ramp.table(history)
    assert len(lines) == 13
    assert "█████████████████████████ | hold | 100 % | 200 | 0.00% failed | 5 s | reelkeeper" in lines[2]


def test_a_run_that_is_tried_again_decides_nothing_anew(catalogue: Catalogue, transferred: Transferred) -> None:
    first = ramp.take_step(estate(), catalogue, run_id="run", now=NOW)
    transferred(200, 100, at=NOW + DAY)
    assert ramp.take_step(estate(), catalogue, run_id="run", now=NOW + 2 * WEEK) == first
    assert ramp.reject(estate(), catalogue, run_id="run", now=NOW, reason="rejected") == first
    assert catalogue.rollout.history(10) == [first]


def test_a_failing_time_and_then_recovery(catalogue: Catalogue, transferred: Transferred) -> None:
    here = estate(25)
    assert step(catalogue, NOW, here) == ("start", "25 %")
    transferred(1000, at=NOW + DAY / 2)
    transferred(20, 2, at=NOW + DAY / 3)  # five minutes are enough
    assert step(catalogue, NOW + DAY, here) == ("step_back", "10 %")
    assert step(catalogue, NOW + 2 * DAY, here) == ("hold", "10 %")  # what is over is not counted again
    transferred(30, 20, at=NOW + 2.5 * DAY)
    assert step(catalogue, NOW + 3 * DAY, here) == ("hold", "10 %")  # there is no step below
    transferred(1000, at=NOW + 4 * DAY)
    assert step(catalogue, NOW + DAY + WEEK, here) == ("hold", "10 %")  # the failing window is watched for a week
    assert step(catalogue, NOW + 2.5 * DAY + WEEK + timedelta(minutes=6), here) == ("advance", "25 %")
    assert [each.action for each in catalogue.rollout.history(2)] == ["advance", "hold"]
    assert "in the time that is watched 20 of 30 transfers failed" in catalogue.rollout.history(2)[1].reason


def test_what_is_measured(catalogue: Catalogue, transferred: Transferred) -> None:
    since, until = NOW - WEEK, NOW
    transferred(100, 1, at=since, seconds=10)  # the first instant counts
    transferred(100, 99, at=until)  # the last does not
    transferred(50, 50, at=NOW - DAY, store=DISK)
    transferred(50, 50, at=NOW - DAY, job="repair")
    transferred(50, 50, at=NOW - DAY, error_code="source_corrupted")  # the disk's fault
    transferred(9, 9, at=NOW - 2 * DAY)  # too few for a window
    transferred(10, 1, at=NOW - 3 * DAY, job="ingest", seconds=31)
    found = catalogue.rollout.measure(CLOUD, since, until, window=timedelta(minutes=5), min_in_window=10)
    assert (found.transfers, found.failed) == (119, 11)
    assert found.upload_seconds == pytest.approx((99 * 10 + 9 * 31) / 108)
    assert found.worst is not None
    assert (found.worst.start, found.worst.transfers, found.worst.failed) == (NOW - 3 * DAY, 10, 1)
    nothing = catalogue.rollout.measure(
        CLOUD, NOW - timedelta(hours=1), NOW, window=timedelta(minutes=5), min_in_window=1
    )
    assert (nothing.transfers, nothing.upload_seconds, nothing.worst) == (0, None, None)


def test_a_person_sets_the_percentage(catalogue: Catalogue, transferred: Transferred) -> None:
    def said(percentage: float, run_id: str, reason: str = "the new line is up") -> tuple[str, str, str]:
        done = ramp.set_percentage(estate(), catalogue, Percentage.of(percentage), reason=reason, decided_by="ann",
                                   run_id=run_id, now=NOW)  # fmt: skip
        return done.action, str(ramp.current_percentage(estate(), catalogue)), done.decided_by

    assert said(60, "a") == ("advance", "60 %", "ann")
    assert said(1, "a") == ("advance", "60 %", "ann")  # the run has decided
    assert said(1, "b") == ("step_back", "1 %", "ann")
    with pytest.raises(ConfigurationError, match="reason is empty"):
        said(2, "c", reason=" ")
    transferred(200, at=NOW + DAY)
    assert step(catalogue, NOW + WEEK) == ("advance", "10 %")
    assert said(0, "d") == ("step_back", "0 %", "ann")
    assert step(catalogue, NOW + 9 * WEEK) == ("hold", "0 %")  # what a person stopped, a person starts


def test_changing_the_file_starts_the_ramp_anew(catalogue: Catalogue, transferred: Transferred) -> None:
    assert step(catalogue, NOW) == ("start", "10 %")
    transferred(200, at=NOW + DAY)
    assert step(catalogue, NOW + WEEK) == ("advance", "25 %")
    changed = estate(5)
    assert ramp.current_percentage(changed, catalogue) == Percentage(500)
    transferred(200, at=NOW + 2 * WEEK - DAY)
    assert step(catalogue, NOW + 2 * WEEK, changed) == ("start", "5 %")
    assert ramp.current_percentage(changed, catalogue) == Percentage(500)


def test_asking_a_person(catalogue: Catalogue, transferred: Transferred) -> None:
    ask = estate(advance="ask")
    assert step(catalogue, NOW, ask) == ("start", "10 %")  # it is there already
    transferred(200, at=NOW + DAY)
    assert ramp.propose(ask, catalogue, now=NOW + WEEK).decision.asks
    assert step(catalogue, NOW + WEEK, ask) == ("hold", "10 %")
    no = ramp.reject(ask, catalogue, run_id="no", now=NOW + WEEK, reason="rejected by 'ann'")
    assert (no.action, no.reason) == ("hold", "rejected by 'ann'")
    transferred(200, at=NOW + WEEK + DAY)
    ann = ramp.Approval("ann", Percentage(2500), NOW + WEEK)
    assert step(catalogue, NOW + WEEK + 2 * DAY, ask, approval=ann) == ("advance", "25 %")
    assert catalogue.rollout.history(1)[0].decided_by == "ann"
    # Two questions were open, and the second is answered when the first has moved the ramp, or the cloud is down.
    bob = replace(ann, by="bob")
    assert step(catalogue, NOW + WEEK + 2.1 * DAY, ask, approval=bob) == ("hold", "25 %")
    transferred(100, 100, at=NOW + WEEK + 3 * DAY)
    assert step(catalogue, NOW + WEEK + 4 * DAY, ask, approval=bob) == ("step_back", "10 %")
    last = catalogue.rollout.history(1)[0]
    assert last.decided_by == "reelkeeper"
    assert last.reason.startswith("'bob' approved to go on to 25 %, but 100 of 100 transfers failed")


def test_what_a_question_told_still_counts_when_it_is_answered(catalogue: Catalogue, transferred: Transferred) -> None:
    ask = estate(advance="ask")
    assert step(catalogue, NOW, ask) == ("start", "10 %")
    transferred(200, at=NOW + DAY)  # a burst, at the very beginning of what is watched
    asked_at = NOW + DAY + WEEK
    asked = ramp.propose(ask, catalogue, now=asked_at).decision
    assert (asked.asks, str(asked.to)) == (True, "25 %")
    yes = ramp.Approval("ann", asked.to, asked_at)
    assert step(catalogue, asked_at + 2 * DAY, ask, approval=yes) == ("advance", "25 %")
    assert catalogue.rollout.history(1)[0].transfers == 200


def test_what_was_approved_and_nothing_else_is_done(catalogue: Catalogue, transferred: Transferred) -> None:
    ask = estate(advance="ask")
    assert step(catalogue, NOW, ask) == ("start", "10 %")
    transferred(200, at=NOW + DAY)
    yes = ramp.Approval("ann", Percentage(2500), NOW + WEEK)
    changed = estate(advance="ask", steps=(Percentage(1000), Percentage(10_000)))  # while the question was open
    assert step(catalogue, NOW + WEEK + DAY, changed, approval=yes) == ("hold", "10 %")
    last = catalogue.rollout.history(1)[0]
    assert last.reason.endswith("but 'ann' approved 25 % and nobody approved to go on to 100 %")
    assert last.decided_by == "reelkeeper"


def test_a_decision_that_lies_ahead_hides_no_failures(catalogue: Catalogue, transferred: Transferred) -> None:
    assert step(catalogue, NOW + 9 * WEEK, estate(25)) == ("start", "25 %")  # by a clock of its own
    transferred(200, 200, at=NOW - DAY)
    assert step(catalogue, NOW, estate(25)) == ("step_back", "10 %")


@pytest.mark.parametrize("answer", ["rejected by 'ann'", "rejected, as nobody had answered in time"])
def test_a_no_does_not_swallow_a_step_back(catalogue: Catalogue, transferred: Transferred, answer: str) -> None:
    ask = estate(25, advance="ask")
    assert step(catalogue, NOW, ask) == ("start", "25 %")
    transferred(200, at=NOW + DAY)
    assert ramp.propose(ask, catalogue, now=NOW + WEEK).decision.asks
    transferred(200, 200, at=NOW + WEEK + DAY)
    moment = NOW + WEEK + 2 * DAY
    no = ramp.reject(ask, catalogue, run_id="no", now=moment, reason=answer)
    assert (no.action, no.to_buckets) == ("step_back", 1000)
    assert no.reason.startswith("200 of 200 transfers failed in the window")
    assert no.reason.endswith(f"({answer})")
    assert step(catalogue, moment, ask) == ("hold", "10 %")  # one step for one failing time


def test_mode_local_wins_over_the_ramp(catalogue: Catalogue) -> None:
    local = estate(100, mode="local")
    with pytest.raises(ConfigurationError, match=r"placement\.mode is 'local'"):
        ramp.take_step(local, catalogue, run_id="run", now=NOW)
    assert ramp.current_percentage(local, catalogue) == Percentage(10_000)
    found = place("local", "rollout", local=DISK, cloud=CLOUD, bucket=0,
                  percentage=ramp.current_percentage(local, catalogue))  # fmt: skip
    assert found is not None
    assert found.store == DISK
    assert ramp.standstill(estate(mode="cloud")) is not None
