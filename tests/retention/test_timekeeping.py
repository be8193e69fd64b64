"""A worker whose clock is wrong takes nothing away."""

from datetime import UTC, datetime, timedelta

import pytest

from reelkeeper.errors import GateFailed
from reelkeeper.policy.retention import Reason
from reelkeeper.timekeeping import check_clock
from tests.retention.rig import CLOUD, DISK, NOW, Rig

DAY = timedelta(days=1)


def test_a_clock_that_is_not_the_catalogues_is_refused(rig: Rig) -> None:
    check_clock(rig.catalogue, datetime.now(UTC))
    for wrong in (-DAY, timedelta(minutes=-6), timedelta(minutes=6), 365 * DAY):
        with pytest.raises(GateFailed, match="this worker's clock says"):
            check_clock(rig.catalogue, datetime.now(UTC) + wrong)


@pytest.mark.parametrize("reason", [Reason.RETIRED, Reason.QUOTA])
def test_what_goes_because_of_another_copy_needs_it_whatever_the_time_is(rig: Rig, reason: Reason) -> None:
    (segment,) = rig.record(1)
    rig.condemn([segment], DISK, reason)
    rig.stores[CLOUD].delete([rig.replicas(segment)[CLOUD].path])
    assert rig.delete(now=NOW + 365 * DAY).deleted == 0
    assert len(rig.keys(DISK)) == 1
