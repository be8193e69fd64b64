"""What ingest tasks did, counted, and whether that is good enough."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from reelkeeper.errors import BeingDeleted, GateFailed, InvalidFootage, ObjectNotFound, ReelkeeperError, StillGrowing


@dataclass(frozen=True, slots=True)
class IngestResult:
    """Files by what became of them, in one call of `ingest_batch` or several together."""

    ingested: int = 0
    duplicates: int = 0
    quarantined: int = 0
    deferred: int = 0  # still growing, or gone: no error
    failed: int = 0  # left in the zone because a store or the zone failed: the next scan sees them anew
    fallbacks: int = 0  # of those ingested: kept in the local store because the cloud failed
    late: int = 0  # of those ingested: their hour's migration was over already
    bytes_ingested: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)  # error code → files quarantined or failed

    @property
    def files(self) -> int:
        return self.ingested + self.duplicates + self.quarantined + self.deferred + self.failed


class Tally:
    """Counts while a batch is under way."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self.first_error: ReelkeeperError | None = None
        """The first error that was not the file's own."""

    def add(self, name: str, count: int = 1) -> None:
        """`name` is that of a field of IngestResult."""
        self._counts[name] += count

    def put_off(self, error: ReelkeeperError) -> None:
        """A file that did not become a segment."""
        if isinstance(error, (StillGrowing, ObjectNotFound, BeingDeleted)):
            self.add("deferred")
            return
        self._reasons[error.code] += 1
        if isinstance(error, InvalidFootage):
            self.add("quarantined")
        else:
            self.add("failed")
            self.first_error = self.first_error or error

    def result(self) -> IngestResult:
        return IngestResult(**self._counts, reasons=dict(self._reasons))


def summarise(results: Iterable[IngestResult]) -> IngestResult:
    """Several results as one."""
    tally, reasons = Counter[str](), Counter[str]()
    for result in results:
        reasons.update(result.reasons)
        tally.update({name: getattr(result, name) for name in IngestResult.__slots__ if name != "reasons"})
    return IngestResult(**tally, reasons=dict(reasons))


def gate(result: IngestResult, *, max_failure_ratio: float) -> None:
    """GateFailed when more than this share (0–1) of the files were quarantined or failed. What grows does not count."""
    looked_at = result.files - result.deferred
    bad = result.quarantined + result.failed
    if looked_at and bad / looked_at > max_failure_ratio:
        raise GateFailed(
            f"{bad} of {looked_at} files ({bad / looked_at:.0%}) were quarantined or failed, by reason "
            f"{dict(result.reasons)}: expected at most {max_failure_ratio:.0%}"
        )
