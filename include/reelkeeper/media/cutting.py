"""Cutting exactly, without encoding more than the partial groups of pictures at the edges."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

from reelkeeper.errors import InvalidFootage
from reelkeeper.media.arranging import arrange
from reelkeeper.media.assembling import assemble
from reelkeeper.media.checking import check, expected, seams
from reelkeeper.media.command import Command, Limits, Seconds
from reelkeeper.media.counting import Counted, NotRight
from reelkeeper.media.encoding import encode, no_footage
from reelkeeper.media.filling import Black, make_black
from reelkeeper.media.holes import HasHoles
from reelkeeper.media.pieces import Cut, Gaps, Method, Piece
from reelkeeper.media.planning import Plan, plan
from reelkeeper.media.retiming import NO_TIMES, says_times
from reelkeeper.media.sound_anew import encode_sound, needs_encoding
from reelkeeper.media.source import Source
from reelkeeper.media.spans import encode_edge
from reelkeeper.media.timeline import OPEN_AT_ONCE, Timeline
from reelkeeper.media.writing import CannotCopy, Written, holds, part_of
from reelkeeper.model import TimeRange

__all__ = ["Cut", "Gaps", "Method", "Piece", "cut"]

_AT_ONCE = 2
_LONG_EDGE = timedelta(seconds=20)
"""What is longer and has nothing to be copied is encoded as footage, not as an edge."""
_EDGE_CODECS = {"h264", "hevc"}


def cut(
    pieces: Sequence[Piece], wanted: TimeRange, target: Path, *, work: Path, limits: Limits, gaps: Gaps = "join",
    progress: Seconds | None = None,
) -> Cut:  # fmt: skip
    """What `pieces`, the segments of one camera, hold of `wanted`, as the file `target` (.mp4, .mkv or .ts).

    Every frame of the range is in the file, and none else, not even hidden. Packets are copied wherever they can be;
    where that is impossible, or does not decode as the sources do, all is encoded anew, and `why` says so. `work`: a
    folder on this machine for the encoded edges, which are removed again. `progress` hears seconds of the file.

    NoFootage when the range has none; InvalidFootage when a piece is none; MediaError, MediaTimeout and
    WorkFolderFull as in `run`.
    """

    def copied(*, looks_inside: bool) -> Cut:
        timeline = arrange(pieces, wanted, gaps, opened=opened, planner=plan, looks_inside=looks_inside)
        if timeline is None:
            raise no_footage(wanted)
        _check_alike([placed.plan for placed in timeline.placed], target)
        return _smart(timeline, target, work, limits, progress)

    def opened(piece: Piece) -> Source:
        return Source(piece, stays_open=len(pieces) <= OPEN_AT_ONCE)

    try:
        try:
            return copied(looks_inside=False)
        except HasHoles:  # most footage has none, and looking for them takes reading all of it
            return copied(looks_inside=True)
    except CannotCopy as reason:
        why = str(reason)
    except NotRight as reason:
        why = f"with its packets copied, it would not have shown all as it was recorded: {reason}"
    except InvalidFootage as exc:
        if exc.code != "no_times":
            raise
        why = NO_TIMES
    return encode(pieces, wanted, target, work=work, limits=limits, gaps=gaps, progress=progress, why=why)


def _check_alike(plans: Sequence[Plan], target: Path) -> None:
    """CannotCopy unless the pictures of all pieces can stand in one stream, and edges can be encoded like them."""
    first = plans[0].source
    for found in plans:
        if found.source.look != first.look:
            raise CannotCopy(f"the picture changes from {first.look} to {found.source.look}")
        if (found.head or found.tail) and first.codec not in _EDGE_CODECS:
            raise CannotCopy(f"edges are not encoded as {first.codec}: expected one of {sorted(_EDGE_CODECS)}")
        if not says_times(found.source):
            raise CannotCopy(NO_TIMES)
    if not any(found.copied for found in plans) and plans[-1].end_moment - plans[0].first_moment > _LONG_EDGE:
        raise CannotCopy("every frame of the range leans on one outside it")
    if not holds(target.suffix.lower(), first.codec):
        raise CannotCopy(f"a {target.suffix} file cannot hold {first.codec}")
    if first.look.orientation and target.suffix.lower() == ".ts":
        raise CannotCopy("a .ts file cannot say that its picture is shown turned")


def _smart(timeline: Timeline, target: Path, work: Path, limits: Limits, progress: Seconds | None) -> Cut:
    spans = [span for placed in timeline.placed for span in (placed.plan.head, placed.plan.tail) if span]
    set_id = _free_id(timeline)
    part = part_of(target)
    names = [work / f"{target.stem}-edge{index}.mp4" for index in range(len(spans))]
    dark = work / f"{target.stem}-black.mp4"
    heard = work / f"{target.stem}-sound.mp4"
    pool = ThreadPoolExecutor(_AT_ONCE)
    try:
        jobs = [
            pool.submit(encode_edge, span, name, set_id=set_id, limits=limits)
            for span, name in zip(spans, names, strict=True)
        ]
        black = _black(timeline, dark, set_id, limits)
        encoded = {span: job.result() for span, job in zip(spans, jobs, strict=True)}
        looks = [(seam, pool.submit(expected, seam)) for seam in seams(timeline)]
        sound = encode_sound(timeline, heard, limits=limits) if needs_encoding(timeline, target) else None
        written = assemble(
            timeline,
            encoded,
            part,
            fillings=[black] * len(timeline.black) if black else [],
            sound=heard if sound else None,
            limits=limits,
            progress=progress,
            orientation=timeline.placed[0].plan.source.look.orientation,
        )
        counted = check(part, timeline, written.frames, [(seam, look.result()) for seam, look in looks])
        part.replace(target)
    finally:
        pool.shutdown(cancel_futures=True)
        for name in [*names, dark, heard, part]:
            name.unlink(missing_ok=True)
        for placed in timeline.placed:
            placed.plan.source.close()
    return _told(timeline, target, written, counted, [part.command for part in encoded.values()], black, sound)


def _black(timeline: Timeline, target: Path, set_id: int, limits: Limits) -> Black | None:
    source = timeline.placed[0].plan.source
    look = source.look
    if not timeline.has_black:
        return None
    return make_black(
        look.codec, (look.width, look.height), look.pixel_format, target, profile=source.profile,
        set_id=set_id, limits=limits,
    )  # fmt: skip


def _free_id(timeline: Timeline) -> int:
    """An id for parameter sets that no source uses."""
    used = {
        number
        for placed in timeline.placed
        if placed.plan.source.bitstream
        for _, number in placed.plan.source.bitstream.set_ids()
    }
    return next((number for number in range(31, 0, -1) if number not in used), 31)


def _told(
    timeline: Timeline, target: Path, written: Written, counted: Counted, commands: list[Command],
    black: Black | None, sound: Command | None,
) -> Cut:  # fmt: skip
    plans = [placed.plan for placed in timeline.placed]
    anew = sum(len(span.frames) for plan in plans for span in (plan.head, plan.tail) if span)
    method: Method = "copied" if written.copied == written.frames else "smart" if written.copied else "encoded"
    said = [f"{written.copied} frames are copied as they were recorded"] if written.copied else []
    said += [f"encoded anew, since they lean on frames outside the range: {anew}"] if anew else []
    said += [f"black, for time without footage: {written.frames - written.copied - anew}"] if black else []
    said += ["the sound was encoded anew as a whole"] if sound else []
    return Cut(
        target, plans[0].source.codec, counted.width, counted.height, written.frames, plans[0].first_moment,
        plans[-1].last_moment, timeline.gaps, timeline.overlaps, method, "; ".join(said),
        (*commands, *([black.command] if black else []), *([sound] if sound else [])),
    )  # fmt: skip
