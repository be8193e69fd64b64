"""Whether an export is what its manifest says, by the manifest, the files and the public key alone."""

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from hashlib import file_digest
from itertools import islice
from pathlib import Path

from reelkeeper.errors import InvalidManifest
from reelkeeper.media.manifest import ManifestMember, SignedManifest, read_manifest
from reelkeeper.media.signing import PublicKey

_LITTER = (".DS_Store", "Thumbs.db", "desktop.ini")
"""What file managers leave in a folder that somebody looks at."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found. `found` is None when the file could not be read as a manifest."""

    found: SignedManifest | None
    findings: tuple[Finding, ...]
    not_looked_at: tuple[str, ...]  # files of the manifest that were not given

    @property
    def is_genuine(self) -> bool:
        """Whether all that was looked at is as it was when it was signed; at least one file was."""
        return self.found is not None and all(finding.ok for finding in self.findings)


def verify(
    manifest_file: Path,
    keys: Sequence[PublicKey],
    files: Sequence[Path] | None = None,
    *,
    is_whole_folder: bool = False,
    besides: Collection[Path] = (),
) -> Verdict:
    """Hold files against a manifest, and the manifest against the public keys (the current one and older ones).

    `files`: those to look at, whatever they are called by now: what tells them is their bytes. None: every file that
    the manifest names, in the manifest's folder; one that is not there is a finding that is not right. With
    `is_whole_folder` so is one that is there and that the manifest does not name, but for those in `besides`: else the
    verdict on the others would seem to hold for it, too. OSError when the manifest cannot be read.
    """
    try:
        found = read_manifest(manifest_file.read_bytes())
    except InvalidManifest as exc:
        return Verdict(None, (Finding("manifest", False, str(exc)),), ())
    signature = _signature(found, keys)
    if files is None:
        files = [manifest_file.parent / member.name for member in found.manifest.files]
        looked_at = [_named(file, member) for file, member in zip(files, found.manifest.files, strict=True)]
        if not files:
            looked_at = [Finding("files", False, "the manifest names none: expected at least one")]
        if is_whole_folder:
            looked_at += _strangers(manifest_file.parent, {manifest_file, *files, *besides})
        return Verdict(found, (signature, *looked_at), ())
    findings, seen = [], set()
    for file in files:
        finding, members = _recognised(file, found)
        findings.append(finding)
        seen |= members
    rest = tuple(member.name for member in found.manifest.files if member.name not in seen)
    return Verdict(found, (signature, *findings), rest)


def _signature(found: SignedManifest, keys: Sequence[PublicKey]) -> Finding:
    claimed = found.signature.key_id
    key = next((key for key in keys if key.id == claimed), None)
    if key is None:
        given = [str(key.id) for key in keys]
        return Finding("signature", False, f"made with another key, {claimed}: expected one of {given}")
    try:
        is_right = key.proves(found.canonical, found.signature.data)
    except ValueError:
        return Finding("signature", False, "it is no base64, or written another way: the file was changed")
    if not is_right:
        return Finding("signature", False, "it does not fit the manifest: one of them was changed")
    return Finding("signature", True, f"made with key {claimed}")


def _named(file: Path, member: ManifestMember) -> Finding:
    """The file that stands where the manifest says."""
    try:
        size_bytes, sha256 = _facts(file)
    except OSError as exc:
        return Finding(member.name, False, f"cannot be read: {exc.strerror}")
    if (size_bytes, sha256) != (member.size_bytes, member.sha256):
        return Finding(member.name, False, _differs(size_bytes, sha256, member))
    return Finding(member.name, True, f"SHA-256 {sha256}")


def _strangers(folder: Path, known: Collection[Path]) -> list[Finding]:
    """What is in the folder, however deep, and is not known."""
    stood_for = {path.resolve() for path in known}
    findings: list[Finding] = []

    def refused(error: OSError) -> None:
        findings.append(Finding(str(error.filename), False, f"cannot be looked into: {error.strerror}"))

    for found in sorted(_below(folder, refused)):
        if found.name not in _LITTER and found.resolve() not in stood_for:
            name = found.relative_to(folder).as_posix()
            findings.append(Finding(name, False, "not of this export: the manifest does not name it"))
    return findings


def _below(folder: Path, refused: Callable[[OSError], None]) -> Iterator[Path]:
    """All that is no folder itself; a link is not followed."""
    for place, folders, names in os.walk(folder, onerror=refused):
        links = [name for name in folders if Path(place, name).is_symlink()]
        yield from (Path(place, name) for name in [*names, *links])


def _recognised(file: Path, found: SignedManifest) -> tuple[Finding, set[str]]:
    """The file by its bytes, and the names that it has in the manifest (its archive's too, when it came out of one)."""
    try:
        size_bytes, sha256 = _facts(file)
    except OSError as exc:
        return Finding(str(file), False, f"cannot be read: {exc.strerror}"), set()
    same = [each for each in found.manifest.everything if (each.size_bytes, each.sha256) == (size_bytes, sha256)]
    if same:
        called = "" if file.name in {each.name.rpartition("/")[2] for each in same} else f"{same[0].name!r}, "
        return Finding(str(file), True, f"{called}SHA-256 {sha256}"), {each.name for each in same}
    meant = next((each for each in found.manifest.everything if each.name.rpartition("/")[2] == file.name), None)
    if meant is None:
        names = [each.name for each in islice(found.manifest.everything, 20)]  # a packaged export has thousands
        return Finding(str(file), False, f"not of this export: expected one of {names}"), set()
    return Finding(str(file), False, _differs(size_bytes, sha256, meant)), {meant.name}


def _differs(size_bytes: int, sha256: str, member: ManifestMember) -> str:
    if size_bytes != member.size_bytes:
        return f"it was changed: it has {size_bytes} bytes, expected {member.size_bytes}"
    return f"it was changed: its SHA-256 is {sha256}, expected {member.sha256}"


def _facts(file: Path) -> tuple[int, str]:
    """Size and SHA-256, of one reading."""
    with file.open("rb") as opened:
        digest = file_digest(opened, "sha256").hexdigest()
        return opened.tell(), digest
