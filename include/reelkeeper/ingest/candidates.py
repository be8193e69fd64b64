"""Examined files on their way to become segments."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from reelkeeper.catalogue.records import LandingFile
from reelkeeper.errors import InvalidFootage
from reelkeeper.ingest.examination import Examined
from reelkeeper.model import Camera, CameraId, Segment, SegmentId, segment_id
from reelkeeper.policy.rollout import rollout_bucket


@dataclass(frozen=True, slots=True)
class Candidate:
    """An examined file with the segment that it would be."""

    examined: Examined
    camera: Camera
    segment: Segment

    @property
    def file(self) -> LandingFile:
        return self.examined.file

    @property
    def name(self) -> tuple[CameraId, datetime]:
        """What names the segment."""
        return self.segment.camera_id, self.segment.start_time

    def conflicts_with(self, checksum: str) -> InvalidFootage:
        """That the segment is there already, with other bytes."""
        return InvalidFootage(
            f"camera {self.camera.slug!r} has a segment at {self.segment.start_time.isoformat()} already, with SHA-256 "
            f"{checksum}: expected the same bytes, not {self.segment.checksum}",
            code="conflict",
        )


def candidate(one: Examined, camera: Camera) -> Candidate:
    """The file as a segment of this camera."""
    id_ = segment_id(camera.id, one.time_range.start)
    segment = Segment(
        id_, camera.id, one.time_range.start, one.time_range.end, one.fetched.size_bytes, one.sha256, one.extension,
        one.media, rollout_bucket(id_),
    )  # fmt: skip
    return Candidate(one, camera, segment)


def without_twins(candidates: Iterable[Candidate]) -> Iterator[list[Candidate]]:
    """Groups in which no segment stands twice, so that the second file of a segment meets the first one's row."""
    left = list(candidates)
    while left:
        first: dict[SegmentId, Candidate] = {}
        for one in left:
            first.setdefault(one.segment.id, one)
        yield list(first.values())
        left = [one for one in left if first[one.segment.id] is not one]
