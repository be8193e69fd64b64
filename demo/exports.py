"""Footage for people: an exact clip and a mosaic of two cameras, fetched as anybody would and held against a proof."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import av
import numpy as np
from rich.console import Console

from demo.airflow import Api
from demo.estate import Servers
from demo.job import Job
from demo.telling import timed
from demo.video import read_counter
from reelkeeper.media.signing import Signer
from reelkeeper.media.verification import Verdict, verify

DAG_ID = "generate_export"
EXPORTS = 2
"""How many the act makes."""
_FRAME_RATE = 4  # of the camera whose frames carry a counter
_CLIP = (timedelta(seconds=95.3), timedelta(seconds=145.1))
"""Since the start of the hour: over the end of a recording, and between two frames at both ends."""
_MOSAIC = (timedelta(seconds=55), timedelta(seconds=65))


@dataclass(frozen=True, slots=True)
class Fetched:
    """An export as somebody downloaded it, and what its proof says."""

    folder: Path
    verdict: Verdict
    files: Sequence[Mapping[str, Any]]  # as the API tells of them

    @property
    def main(self) -> Path:
        """The file that was asked for."""
        return self.folder / str(self.files[0]["name"])


def fetch(api: Api, url: str, export: UUID, folder: Path, key: Signer) -> Fetched:
    """Download all files of an export by its address, and prove them by the public key alone."""
    address = f"{url}/reelkeeper/exports/{export}"
    files: list[dict[str, Any]] = json.loads(api.text(address))["files"]
    for file in files:
        path = folder / file["name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(api.download(f"{address}/files/{file['name']}"))
    return Fetched(folder, verify(folder / "manifest.json", [key.public_key]), files)


def counters(path: Path) -> list[int]:
    """The numbers that the frames of a file carry."""
    with av.open(str(path)) as container:
        return [read_counter(np.asarray(frame.to_ndarray(format="gray8"), np.uint8))
                for frame in container.decode(video=0)]  # fmt: skip


class Exports:
    """The act of the demo."""

    def __init__(self, servers: Servers, url: str, api: Api, job: Job, console: Console) -> None:
        self._servers, self._url, self._api, self._job, self._console = servers, url, api, job, console

    def run(self, start: datetime, beside: Callable[[], None]) -> bool:
        """Export footage of the hour that begins at `start`, and do what else there is to do, `beside`, meanwhile.

        Whether both exports are what they should be.
        """
        with timed(self._console, "generate_export: an exact clip, and a mosaic of two cameras, at the same time"):
            clip, clip_run = self._begin(["front-door"], start, _CLIP, reason="someone at the door")
            mosaic, mosaic_run = self._begin(
                ["front-door", "bike-lane"], start, _MOSAIC, reason="a bicycle", layout="mosaic", burn_in_time=True,
                burn_in_camera=True, watermark=True,
            )  # fmt: skip
            beside()
            for run_id in (clip_run, mosaic_run):
                self._job.finish(DAG_ID, run_id)
        first, last = (ceil(moment.total_seconds() * _FRAME_RATE) for moment in _CLIP)
        frames = list(range(first, last))
        fetched = self._fetched(clip)
        seen = counters(fetched.main)
        self._console.print(f"  clip: frames {seen[0]} to {seen[-1]} of the hour, {len(seen)} in all, expected "
                            f"{frames[0]} to {frames[-1]}; {_proof(fetched)}")  # fmt: skip
        other = self._fetched(mosaic)
        self._console.print(f"  mosaic: {', '.join(str(file['name']) for file in other.files[:1])}, with thumbnail and "
                            f"contact sheet; {_proof(other)}")  # fmt: skip
        return seen == frames and fetched.verdict.is_genuine and other.verdict.is_genuine

    def _begin(
        self, cameras: Sequence[str], start: datetime, span: tuple[timedelta, timedelta], **terms: Any
    ) -> tuple[UUID, str]:
        export = uuid4()
        conf = {
            "camera_ids": list(cameras), "start_time": (start + span[0]).isoformat(),
            "end_time": (start + span[1]).isoformat(), "created_by": "the demo", "export_id": str(export), **terms,
        }  # fmt: skip
        return export, self._job.start(DAG_ID, conf)

    def _fetched(self, export: UUID) -> Fetched:
        key = Signer.from_pem(self._servers.signing_key.read_text(), name="the demo's key")
        return fetch(self._api, self._url, export, self._servers.folder / "downloaded" / str(export), key)


def _proof(fetched: Fetched) -> str:
    wrong = [f"{finding.what}: {finding.detail}" for finding in fetched.verdict.findings if not finding.ok]
    return f"NOT as its manifest says: {'; '.join(wrong)}" if wrong else "signed, and every byte as its manifest says"
