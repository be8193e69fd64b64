"""Mode, time of upload and rollout decide where footage goes; nothing else does."""

from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from reelkeeper.model import StoreName
from reelkeeper.policy.placement import AtIngest, Destination, Mode, belongs_in_cloud, migrates_later, place
from reelkeeper.policy.rollout import BUCKETS, Percentage

LOCAL, CLOUD = StoreName("local"), StoreName("cloud")
modes = st.sampled_from(get_args(Mode))
times = st.sampled_from(get_args(AtIngest))
buckets = st.integers(0, BUCKETS - 1)
percentages = st.integers(0, BUCKETS).map(Percentage)


@given(mode=modes, at_ingest=times, bucket=buckets, percentage=percentages, cloud=st.sampled_from([CLOUD, None]))
def test_place(mode: Mode, at_ingest: AtIngest, bucket: int, percentage: Percentage, cloud: StoreName | None) -> None:
    found = place(mode, at_ingest, local=LOCAL, cloud=cloud, bucket=bucket, percentage=percentage)
    if mode == "milestone":
        assert found is None
        return
    wanted = mode == "cloud" or (mode == "hybrid" and bucket < percentage.buckets)
    at_once = at_ingest == "rollout" and wanted and cloud is not None
    assert found == (Destination(CLOUD, LOCAL) if at_once else Destination(LOCAL))
    assert belongs_in_cloud(mode, bucket, percentage) == wanted


@given(at_ingest=times, bucket=buckets, percentage=percentages)
def test_mode_local_keeps_everything_at_home(at_ingest: AtIngest, bucket: int, percentage: Percentage) -> None:
    for mode in ("local", "milestone"):
        assert not belongs_in_cloud(mode, bucket, percentage)
        assert not migrates_later(mode, at_ingest)
    assert migrates_later("hybrid", at_ingest) == migrates_later("cloud", at_ingest) == (at_ingest == "local")
