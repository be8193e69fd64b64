"""Sound encoded anew, as a whole: where segments differ in it, or the file cannot hold it."""

from collections.abc import Iterator
from pathlib import Path

import av
from av.audio.resampler import AudioResampler
from av.stream import Discard

from reelkeeper.media.command import Command, Limits, file_url, run
from reelkeeper.media.sound import read_from
from reelkeeper.media.timeline import Placed, Timeline
from reelkeeper.media.writing import holds

_SAMPLE_BYTES = 2
_SILENCE_SECONDS = 10
"""Silence is handed over in parts of that length."""


def needs_encoding(timeline: Timeline, target: Path) -> bool:
    """Whether packets of sound cannot be copied into one track of the file."""
    sounds = {placed.plan.source.sound for placed in timeline.placed if placed.plan.source.sound}
    return len(sounds) > 1 or any(not holds(target.suffix.lower(), sound.codec) for sound in sounds)


def encode_sound(timeline: Timeline, target: Path, *, limits: Limits) -> Command:
    """The sound of all pieces on the file's clock, silence where there is none, as AAC."""
    first = next(placed.plan.source.sound for placed in timeline.placed if placed.plan.source.sound)
    rate, channels = min(first.rate, 48_000), min(first.channels, 2)
    return run(
        ["-f", "s16le", "-ar", str(rate), "-ac", str(channels), "-i", "pipe:0", "-c:a", "aac", "-b:a",
         f"{48 * channels}k", "-fflags", "+bitexact", "-flags", "+bitexact", "-f", "mp4", "-y", file_url(target)],
        limits=limits, stdin=_samples(timeline, rate, channels),
    )  # fmt: skip


def _samples(timeline: Timeline, rate: int, channels: int) -> Iterator[bytes]:
    """From the file's time 0 to the end of its pictures."""
    width = channels * _SAMPLE_BYTES
    at = 0  # in samples
    for placed in timeline.placed:
        until = round(placed.end * rate)
        for start, data in _decoded(placed, rate, channels):
            begin = max(start, round(placed.start * rate))
            if begin > at:
                yield from _silence(min(begin, until) - at, rate, width)
                at = min(begin, until)
            heard = data[max(at - start, 0) * width : max(until - start, 0) * width]
            if heard:
                at += len(heard) // width
                yield heard
            if start >= until:
                break
        if at < until:
            yield from _silence(until - at, rate, width)
            at = until


def _silence(samples: int, rate: int, width: int) -> Iterator[bytes]:
    while samples > 0:
        part = min(samples, _SILENCE_SECONDS * rate)
        yield bytes(part * width)
        samples -= part


def _decoded(placed: Placed, rate: int, channels: int) -> Iterator[tuple[int, bytes]]:
    """Samples of one source, each part with its place in the file, in samples."""
    plan, source = placed.plan, placed.plan.source
    if not source.sound:
        return
    resampler = AudioResampler("s16", "mono" if channels == 1 else "stereo", rate)
    with source.opened(read_from(plan)) as (container, video):
        video.discard = Discard.all
        zero = plan.first * source.time_base
        at: int | None = None
        for packet in container.demux(container.streams.audio[0]):
            try:
                frames = packet.decode()
            except av.FFmpegError:  # damaged sound is silence
                continue
            for frame in frames:
                if frame.pts is None or frame.time_base is None:
                    continue
                place = round((frame.pts * frame.time_base - zero + placed.start) * rate)
                if at is None or abs(place - at) > rate // 20:  # what is off by less is rounding
                    at = place
                for part in resampler.resample(frame):
                    data = bytes(part.planes[0])[: part.samples * channels * _SAMPLE_BYTES]
                    yield at, data
                    at += part.samples
            if at is not None and at > placed.end * rate:
                return
