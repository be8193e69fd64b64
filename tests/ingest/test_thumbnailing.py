"""Thumbnails are made after registration, and what cannot be made fails nothing."""

from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from reelkeeper.ingest import thumbnailing
from reelkeeper.ingest.thumbnailing import ThumbnailResult, thumbnail_batch
from reelkeeper.model import BatchId
from tests.ingest.rig import Rig, name


def batch_of(rig: Rig) -> BatchId:
    (batch,) = rig.plan().batches
    rig.batch(batch.id)
    return batch.id


def thumbnails(rig: Rig, batch: BatchId) -> ThumbnailResult:
    return thumbnail_batch(rig.estate, rig.open_catalogue, rig.open_store, batch, retry=rig.retry)


@pytest.mark.parametrize("placement", [{}, {"mode": "cloud", "at_ingest": "rollout"}], ids=["local", "cloud"])
def test_each_segment_gets_a_picture(rig: Rig, placement: dict[str, Any]) -> None:
    rig.placement |= placement
    for number in range(3):
        rig.lands(f"gate/{name(number)}", number=number)
    batch = batch_of(rig)
    assert thumbnails(rig, batch) == ThumbnailResult(made=3, failed=0)
    rows = rig.rows("SELECT store, path, width, height FROM thumbnails ORDER BY path")
    assert {(store, width, height) for store, _, width, height in rows} == {("local", 320, 240)}
    for _, path, width, height in rows:
        assert path.startswith("thumbnails/default/gate/2026/03/01/20260301T0000")
        picture = Image.open(BytesIO(b"".join(rig.local.read(path))))
        assert (picture.format, picture.size) == ("JPEG", (width, height))
    assert thumbnails(rig, batch) == ThumbnailResult(0, 0), "none is made twice"


def test_one_that_cannot_be_made_is_counted(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(2):
        rig.lands(f"gate/{name(number)}", number=number)
    batch = batch_of(rig)
    lost = min((rig.root / "local/media").rglob("*.mp4"))
    lost.unlink()
    assert thumbnails(rig, batch) == ThumbnailResult(made=1, failed=1)
    assert "has no thumbnail (no_picture)" in caplog.text


def test_a_killed_try_is_finished(rig: Rig) -> None:
    rig.lands(f"gate/{name(0)}")
    batch = batch_of(rig)
    thumbnails(rig, batch)
    rig.rows("DELETE FROM thumbnails; COMMIT; SELECT 1")
    assert thumbnails(rig, batch) == ThumbnailResult(made=1, failed=0), "the picture that is there counts"


def test_a_picture_that_nobody_thought_of_fails_no_other(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(2):
        rig.lands(f"gate/{name(number)}", number=number)
    batch = batch_of(rig)
    first = min((rig.root / "local/media").rglob("*.mp4"))
    make = thumbnailing.make_thumbnail

    def make_or_break(path: Path, **more: Any) -> Any:
        if path == first:
            raise ValueError("image has wrong mode")
        return make(path, **more)

    monkeypatch.setattr(thumbnailing, "make_thumbnail", make_or_break)
    assert thumbnails(rig, batch) == ThumbnailResult(made=1, failed=1)
    assert "has no thumbnail" in caplog.text
    assert "ValueError: image has wrong mode" in caplog.text
