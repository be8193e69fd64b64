"""Paths name cameras and starts."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelkeeper.errors import InvalidFootage
from reelkeeper.landing.naming import Naming
from reelkeeper.landing.patterns import pattern, read_path
from reelkeeper.landing.sidecar import Sidecar
from reelkeeper.model import Tenant, camera_id, media_key, segment_id, slugify

BUILT_IN = ("reelkeeper", "frigate", "iso")
BERLIN = ZoneInfo("Europe/Berlin")


def moments() -> st.SearchStrategy[datetime]:
    return st.integers(631152000, 4102444800).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


def read(path: str, *patterns: str, zone: ZoneInfo = BERLIN) -> tuple[str | None, str] | None:
    facts = read_path(path, [pattern(text) for text in patterns or BUILT_IN], zone)
    return facts and (facts.camera, facts.start.instants[0].isoformat().removesuffix("+00:00"))


@pytest.mark.parametrize(
    ("path", "camera", "start"),
    [
        ("recordings/2026-03-29/02/front_door/30.10.mp4", "front_door", "2026-03-29T02:30:10"),  # UTC, in the lost hour
        ("2026-03-29/02/front_door/30.10.mp4", "front_door", "2026-03-29T02:30:10"),
        ("gate/2026-01-30T02-30-00.mp4", "gate", "2026-01-30T01:30:00"),
        ("gate_20260130T023000Z.mp4", "gate", "2026-01-30T02:30:00"),
        ("site/Cam 5/2026-01-30T02.30.00.5Z.mkv", "Cam 5", "2026-01-30T02:30:00.500000"),
        ("gate/2026/01/30/2026-01-30_02-30-00.ts", "gate", "2026-01-30T01:30:00"),
        ("gate/2026-01-30/02-30-00.mp4", "gate", "2026-01-30T01:30:00"),
        ("2026-01-30/gate/02-30-00.mp4", "gate", "2026-01-30T01:30:00"),
        ("gate/2026-01-30T02-30-00Z/video.mp4", "gate", "2026-01-30T02:30:00"),
        ("NVR_01_20260130120000.mp4", "NVR_01", "2026-01-30T11:00:00"),
        ("gate/20260130_120000_20260130_121000.mp4", "gate", "2026-01-30T11:00:00"),
        ("gate/2026-01-30_12-00-00-0001.mp4", "gate", "2026-01-30T11:00:00"),  # a running number is no offset
        ("20260130T120000Z.mp4", None, "2026-01-30T12:00:00"),
    ],
)
def test_built_in_patterns(path: str, camera: str | None, start: str) -> None:
    assert read(path) == (camera, start)


@pytest.mark.parametrize("path", ["gate/video.mp4", "gate/20261330T000000Z.mp4", "a/b/c.mp4", "2026-01-30/gate/x.mp4"])
def test_paths_that_say_nothing(path: str) -> None:
    assert read(path) is None


@given(
    camera=st.from_regex(r"[a-z0-9_][a-z0-9._-]{0,20}[a-z0-9]", fullmatch=True),
    start=moments(),
    below=st.sampled_from(["", "old/", "a/b/"]),
)
def test_our_own_keys_are_read_back(camera: str, start: datetime, below: str) -> None:
    slug, tenant = slugify(camera), Tenant("acme")
    key = media_key(tenant, slug, start, segment_id(camera_id(tenant, slug), start), "mp4")
    facts = read_path(below + key, [pattern("reelkeeper")], BERLIN)
    assert facts is not None
    assert (facts.camera, facts.start.instants, facts.tenant) == (slug, (start,), tenant)
    facts = read_path(key.removeprefix("media/acme/"), [pattern("reelkeeper")], BERLIN)
    assert facts is not None
    assert (facts.camera, facts.start.instants, facts.tenant) == (slug, (start,), None)


def test_custom_patterns() -> None:
    date = r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)"
    parts = rf"ch(?P<camera>\d+)/{date}-(?P<hour>\d\d)h(?P<minute>\d\d)m(?P<second>\d\d)"
    assert read("x/ch07/20260130-02h30m00.mp4", parts) == ("07", "2026-01-30T01:30:00")
    assert read("20260130T023000Z@gate.mp4", r"(?P<start>[^@/]+)@(?P<camera>.+)\.mp4") == (
        "gate",
        "2026-01-30T02:30:00",
    )


def test_who_names_the_camera_and_the_start() -> None:
    naming = Naming(BUILT_IN, "Europe/Berlin", "hall", "acme")
    named = naming.name("gate/20260130T023000Z.mp4", None, None)
    assert (named.camera, named.duration) == ("gate", None)
    assert naming.name("20260130T023000Z.mp4", None, None).camera == "hall"
    moment = datetime(2026, 5, 1, tzinfo=UTC)
    named = naming.name("gate/20260130T023000Z.mp4", Sidecar(camera_id="door", start_time=moment), None)
    assert (named.camera, named.start.instants) == ("door", (moment,))
    assert naming.name("gate/video.mp4", Sidecar(start_time=moment), None).camera == "hall"


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("gate/video.mp4", "bad_time"),
        ("20260130T023000Z.mp4", "no_camera"),
        ("media/other/gate/2026/01/30/20260130T023000Z_71f2b6ec-4721-5840-a3b2-1aacee034516.mp4", "wrong_tenant"),
    ],
)  # fmt: skip
def test_what_cannot_be_named(path: str, code: str) -> None:
    with pytest.raises(InvalidFootage) as error:
        Naming(BUILT_IN, "UTC", None, "acme").name(path, None, None)
    assert error.value.code == code
