"""What a manifest tells of how an export was made: the programs with their versions, and their command lines."""

import platform
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from reelkeeper.media.binaries import program

_URL = re.compile(r"\b([a-z][a-z0-9+.-]*)://(?:[^\s/?#@]*@)?([^\s?#'\"]*)(?:[?#][^\s'\"]*)?", re.IGNORECASE)
_WHOLE_PATH = re.compile(r"(file:)?/", re.IGNORECASE)
_PATH_INSIDE = re.compile(r"(?<=[\s=:,;|'\"\[(])/(?!/)(?:[^\s/:,;|'\"\])]*/)*([^\s/:,;|'\"\])]*)")


def tool_versions() -> dict[str, str]:
    """The versions of what makes exports, by name. FileNotFoundError when there is no ffmpeg."""
    said = subprocess.run([program("ffmpeg"), "-version"], capture_output=True, text=True, check=True, timeout=30)
    return {
        "reelkeeper": version("reelkeeper"),
        "python": platform.python_version(),
        "ffmpeg": said.stdout.split()[2],  # "ffmpeg version n8.1 Copyright …"
        "av": version("av"),
    }


def portable_commands(commands: Sequence[Sequence[str]], folders: Mapping[Path, str]) -> tuple[tuple[str, ...], ...]:
    """Command lines as a manifest may show them: nothing of the machine, no secret. See `portable_argument`."""
    return tuple(tuple(_portable(arguments, folders)) for arguments in commands)


def _portable(arguments: Sequence[str], folders: Mapping[Path, str]) -> Iterator[str]:
    for index, argument in enumerate(arguments):
        is_program = index == 0 and "/" in argument
        yield argument.rpartition("/")[2] if is_program else portable_argument(argument, folders)


def portable_argument(argument: str, folders: Mapping[Path, str]) -> str:
    """The argument without this machine's folders and without what signs a URL.

    A path in one of `folders` starts with what that folder is called, which is nothing for the work folder and
    `store:NAME/`, say, for a store's root. Of any other absolute path its last name alone stays; of a URL neither
    user nor query.
    """
    for folder in sorted(folders, key=lambda each: len(str(each)), reverse=True):
        argument = _renamed(argument, str(folder), folders[folder])
    argument = _URL.sub(r"\1://\2", argument)
    if found := _WHOLE_PATH.match(argument):
        return f"{found[1] or ''}{argument.rpartition('/')[2]}"
    return _PATH_INSIDE.sub(r"\1", argument)


def _renamed(argument: str, folder: str, name: str) -> str:
    """The argument with every mention of a folder by its name, `.` where nothing would be left."""

    def named(found: re.Match[str]) -> str:
        return name if found[0].endswith("/") else name.rstrip("/") or "."

    return re.sub(rf"(?<![^\s=:,;|'\"\[(]){re.escape(folder)}(?:/|(?=$|[\s:,;|'\"\])]))", named, argument)
