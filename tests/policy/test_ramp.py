"""The ramp goes on, stays or goes back: at its bounds, and under whatever was measured."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelkeeper.model import SegmentId
from reelkeeper.policy.ramp import Measured, Position, RampDecision, RampTerms, Window, decide
from reelkeeper.policy.rollout import Percentage, rollout_bucket, wants_cloud

NOW = datetime(2026, 3, 8, 3, 30, tzinfo=UTC)
WEEK = timedelta(days=7)
STEPS = tuple(Percentage(percent * 100) for percent in (10, 25, 50, 75, 100))
TERMS = RampTerms(STEPS, "automatic", WEEK, 0.05, 30.0, 100)


def percent(number: float) -> Percentage:
    return Percentage(round(number * 100))


def measured(
    transfers: int = 1000, failed: int = 0, seconds: float | None = 5.0, worst: tuple[int, int] | None = (100, 0)
) -> Measured:
    """`worst`: transfers and failures of the worst window."""
    return Measured(
        NOW - WEEK, NOW, transfers, failed, seconds, Window(NOW - timedelta(days=1), *worst) if worst else None
    )


WELL, NOTHING = measured(), measured(0, 0, None, None)


def decided(
    at: float = 25,
    *,
    watched: Measured = WELL,
    recent: Measured | None = None,
    since: datetime | None = NOW - WEEK,
    terms: RampTerms = TERMS,
) -> RampDecision:
    return decide(terms, Position(percent(at), since), watched=watched, recent=recent or watched, now=NOW)


def move(decision: RampDecision) -> tuple[str, str]:
    return decision.action, str(decision.to)


def test_each_step_follows_the_one_before() -> None:
    assert [str(decided(at).to) for at in (10, 25, 50, 75)] == ["25 %", "50 %", "75 %", "100 %"]
    assert move(decided(100)) == ("hold", "100 %")
    assert move(decided(1)) == ("advance", "10 %")  # 1 means 1 %: below the first step, not everything
    assert move(decided(60)) == ("advance", "75 %")


@pytest.mark.parametrize(
    ("worst", "expected"),
    [((100, 5), ("advance", "50 %")), ((100, 6), ("step_back", "10 %")), ((20, 1), ("advance", "50 %")),
     ((10_000, 501), ("step_back", "10 %")), ((10, 10), ("step_back", "10 %"))],
)  # fmt: skip
def test_exactly_the_limit_is_no_failure(worst: tuple[int, int], expected: tuple[str, str]) -> None:
    assert move(decided(watched=measured(failed=worst[1], worst=worst))) == expected


@pytest.mark.parametrize(("seconds", "action"), [(30.0, "advance"), (30.001, "hold"), (None, "hold")])
def test_exactly_thirty_seconds_is_not_slow(seconds: float | None, action: str) -> None:
    assert decided(watched=measured(seconds=seconds)).action == action


@pytest.mark.parametrize(
    ("ago", "action"), [(WEEK, "advance"), (WEEK - timedelta(seconds=1), "hold"), (timedelta(0), "hold")]
)
def test_a_step_is_watched_for_the_whole_dwell_time(ago: timedelta, action: str) -> None:
    assert decided(since=NOW - ago).action == action


@pytest.mark.parametrize(("transfers", "action"), [(100, "advance"), (99, "hold"), (0, "hold")])
def test_few_transfers_say_too_little(transfers: int, action: str) -> None:
    found = decided(watched=measured(transfers, worst=None))
    assert found.action == action
    assert action == "advance" or "say too little: expected at least 100" in found.reason


def test_a_window_of_few_transfers_says_nothing_and_the_whole_time_does() -> None:
    assert TERMS.min_in_window == 10
    assert replace(TERMS, min_transfers=1).min_in_window == 1
    assert decided(watched=measured(99, 40, worst=None)).action == "hold"
    down = decided(watched=measured(100, 6, worst=None))  # a breaker lets few transfers through to a store that is down
    assert move(down) == ("step_back", "10 %")
    assert "6 of 100 transfers failed since 2026-03-01 03:30, 0.06: expected at most 0.05" in down.reason


def test_a_failing_window_that_was_seen_before_holds_but_does_not_step_back_again() -> None:
    failing = measured(failed=50, worst=(100, 50))
    assert move(decided(watched=failing, recent=WELL)) == ("hold", "25 %")
    assert move(decided(watched=failing, recent=NOTHING)) == ("hold", "25 %")
    assert move(decided(watched=failing, recent=failing)) == ("step_back", "10 %")


def test_the_first_step_is_the_lowest_that_it_goes_back_to() -> None:
    failing = measured(failed=50, worst=(100, 50))
    assert move(decided(10, watched=failing)) == ("hold", "10 %")
    assert move(decided(5, watched=failing)) == ("hold", "5 %")
    assert move(decided(10.01, watched=failing)) == ("step_back", "10 %")
    assert "set placement.mode to 'local' to stop it" in decided(10, watched=failing).reason


def test_going_back_does_not_wait_for_the_dwell_time() -> None:
    failing = measured(failed=50, worst=(100, 50))
    assert decided(watched=failing, since=NOW - timedelta(hours=1)).action == "step_back"


def test_the_start() -> None:
    assert move(decided(25, since=None, watched=NOTHING)) == ("start", "25 %")
    assert move(decided(0, since=None, watched=NOTHING)) == ("start", "10 %")
    assert move(decided(0, since=NOW - WEEK, watched=NOTHING)) == ("hold", "0 %")  # somebody went back to it


def test_configured_to_ask_or_to_hold() -> None:
    failing = measured(failed=50, worst=(100, 50))
    ask, hold = replace(TERMS, advance="ask"), replace(TERMS, advance="hold")
    assert [decided(at, terms=ask, since=since).asks for at, since in ((25, NOW - WEEK), (0, None))] == [True, True]
    assert not decided(terms=ask, since=NOW).asks
    back = decided(terms=ask, watched=failing)
    assert (move(back), back.asks) == (("step_back", "10 %"), False)
    assert move(decided(terms=hold)) == ("hold", "25 %")
    assert "would go on to 50 %" in decided(terms=hold).reason
    assert "would go back to 10 %" in decided(terms=hold, watched=failing).reason
    assert move(decided(0, since=None, terms=hold)) == ("hold", "0 %")


windows = st.none() | st.tuples(st.integers(10, 500), st.integers(0, 500)).map(lambda w: (max(w), min(w)))
measures = st.builds(
    lambda transfers, failed, seconds, worst: measured(transfers, min(failed, transfers), seconds, worst),
    st.integers(0, 5000), st.integers(0, 5000), st.none() | st.floats(0, 1000), windows,
)  # fmt: skip


@given(
    at=st.integers(0, 10_000), since=st.none() | st.integers(0, 30 * 24), watched=measures, recent=measures,
    advance=st.sampled_from(["automatic", "ask", "hold"]),
)  # fmt: skip
def test_whatever_was_measured(at: int, since: int | None, watched: Measured, recent: Measured, advance: str) -> None:
    terms = replace(TERMS, advance=advance)
    begun = None if since is None else NOW - timedelta(hours=since)
    found = decide(terms, Position(Percentage(at), begun), watched=watched, recent=recent, now=NOW)
    assert found.reason
    assert (found.action == "hold") == (found.to.buckets == at and found.action != "start")
    if found.action == "advance":
        assert found.to.buckets > at
        assert found.to == min(step for step in STEPS if step.buckets > at)  # never two steps at once
        assert begun is not None
        assert NOW - begun >= WEEK
        assert watched.transfers >= 100
        assert advance != "hold"
    if found.action == "step_back":
        assert STEPS[0].buckets <= found.to.buckets < at
        assert advance != "hold"


@given(ids=st.lists(st.uuids().map(SegmentId), max_size=60), weather=st.lists(st.booleans(), max_size=12))
def test_the_sets_nest_along_any_ramp(ids: list[SegmentId], weather: list[bool]) -> None:
    """Up in good weeks, down in bad ones: whatever the ramp does, a lower percentage sends a subset."""
    failing, current, sent = measured(failed=50, worst=(100, 50)), Percentage(0), {Percentage(0): set()}
    since = None
    for fine in weather:
        found = decide(TERMS, Position(current, since), watched=WELL if fine else failing,
                       recent=WELL if fine else failing, now=NOW)  # fmt: skip
        current, since = found.to, NOW - WEEK
        sent[current] = {each for each in ids if wants_cloud(rollout_bucket(each), current)}
    in_order = [sent[percentage] for percentage in sorted(sent)]
    assert all(lower <= higher for lower, higher in pairwise(in_order))
