"""Three tries, on transient errors only, with growing waits that can be cut short."""

import threading
import time

import pytest

from reelkeeper.errors import AccessDenied, CatalogueUnavailable, StillGrowing, StoreTimeout, TransferCorrupted
from reelkeeper.stores.retry import retrying, without_retries, worth_retrying


class Failing:
    def __init__(self, error: Exception, times: int) -> None:
        self.error, self.times, self.calls = error, times, 0

    def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self.times:
            raise self.error
        return "done"


@pytest.mark.parametrize("error", [StoreTimeout("t"), TransferCorrupted("c"), CatalogueUnavailable("c")])
def test_transient_errors_get_three_tries(error: Exception) -> None:
    twice, thrice = Failing(error, 2), Failing(error, 3)
    assert retrying(first_wait_seconds=0.001)(twice) == "done"
    with pytest.raises(type(error)) as raised:
        retrying(first_wait_seconds=0.001)(thrice)
    assert raised.value is error
    assert (twice.calls, thrice.calls) == (3, 3)


@pytest.mark.parametrize("error", [AccessDenied("a"), StillGrowing("g"), ZeroDivisionError()])
def test_others_get_one(error: Exception) -> None:
    failing = Failing(error, 1)
    with pytest.raises(type(error)):
        retrying()(failing)
    assert failing.calls == 1
    assert not worth_retrying(error)


def test_who_waits_for_an_answer_gets_one_try() -> None:
    failing = Failing(StoreTimeout("t"), 2)
    with without_retries(), pytest.raises(StoreTimeout):
        retrying(first_wait_seconds=0.001)(failing)
    assert failing.calls == 1
    assert retrying(first_wait_seconds=0.001)(failing) == "done"


def test_waits_double_up_to_four_times_the_first_with_jitter() -> None:
    wait = retrying(first_wait_seconds=1).wait
    for attempt, least, most in [(1, 1, 2), (2, 2, 3), (3, 4, 4), (4, 4, 4)]:
        state = type("State", (), {"attempt_number": attempt})()
        waits = [wait(state) for _ in range(50)]
        assert least <= min(waits) <= max(waits) <= most
        if least < most:
            assert len(set(waits)) > 1


def test_setting_the_event_ends_a_wait() -> None:
    stopped = threading.Event()
    stopped.set()
    began = time.monotonic()
    with pytest.raises(StoreTimeout):
        retrying(stopped=stopped)(Failing(StoreTimeout("t"), 3))
    assert time.monotonic() - began < 0.5
