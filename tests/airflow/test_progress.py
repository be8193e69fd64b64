"""Progress lines: not too many, and right."""

from reelkeeper_airflow.progress import ProgressLog


class Lines:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def info(self, event: str, *args: object) -> None:
        self.lines.append(event % args)


def test_lines_are_throttled_and_the_last_one_is_told() -> None:
    log, now = Lines(), [0.0]
    tell = ProgressLog(log, "segments", every_seconds=5, clock=lambda: now[0])
    mib = 2**20
    for second in range(21):
        now[0] = float(second)
        tell(second * 5, 100, second * 5 * mib, 100 * mib)
    assert log.lines == [
        "25 of 100 segments, 25.0 MiB of 100.0 MiB (25 %), 5.0 MiB/s, 15 s left",
        "50 of 100 segments, 50.0 MiB of 100.0 MiB (50 %), 5.0 MiB/s, 10 s left",
        "75 of 100 segments, 75.0 MiB of 100.0 MiB (75 %), 5.0 MiB/s, 5 s left",
        "100 of 100 segments, 100.0 MiB of 100.0 MiB (100 %), 5.0 MiB/s",
    ]
    tell(100, 100, 100 * mib, 100 * mib)
    assert len(log.lines) == 4


def test_the_rate_leaves_out_what_an_earlier_try_did() -> None:
    log, now = Lines(), [0.0]
    tell = ProgressLog(log, "segments", every_seconds=5, clock=lambda: now[0])
    tell(90, 100, 900, 1000)
    now[0] = 10.0
    tell(95, 100, 950, 1000)
    assert log.lines == ["95 of 100 segments, 950 B of 1000 B (95 %), 5 B/s, 10 s left"]
