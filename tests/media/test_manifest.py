"""Manifests: one form, one signature, and no byte that can be changed unseen."""

import hashlib
import json
import re
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from reelkeeper.errors import ConfigurationError, InvalidManifest
from reelkeeper.media import manifest as forms
from reelkeeper.media.provenance import portable_argument, portable_commands, tool_versions
from reelkeeper.media.signing import PublicKey, Signer
from reelkeeper.media.verification import Verdict, verify
from reelkeeper.model import TimeRange
from reelkeeper.pem import repaired_pem

START = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
WANTED = TimeRange(START, START + timedelta(minutes=30))
SIGNER = Signer.create()
CLIP = b"not really a clip"


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def made(reason: str = 'case 7: was it "O\'Brien"? – é\n', data: bytes = CLIP) -> forms.Manifest:
    """A manifest with something in every place."""
    source = forms.ManifestSource(
        segment_id=UUID(int=2), range=TimeRange(START - timedelta(minutes=5), START + timedelta(minutes=20)),
        size_bytes=1234, sha256=digest(b"segment"), store="cloud", path="media/acme/gate/2026/11/21/a.mp4",
    )  # fmt: skip
    picture = forms.ManifestPicture(
        first_frame=START + timedelta(microseconds=40_000), last_frame=START + timedelta(minutes=29), frames=43_500,
        video_codec="h264", width=1920, height=1080, method="smart", why="only partial groups of pictures are encoded",
    )  # fmt: skip
    gap = TimeRange(START + timedelta(minutes=20), START + timedelta(minutes=21))
    clip = forms.ManifestFile(
        name="gate.mp4", kind="video", size_bytes=len(data), sha256=digest(data), cameras=("gate",), made="cut"
    )
    inner = forms.ManifestMember(
        name="gate.mkv", kind="video", size_bytes=3, sha256=digest(b"mkv"), cameras=("gate",)
    )  # fmt: skip
    return forms.Manifest(
        export_id=UUID(int=1),
        estate="demo",
        tenant="acme",
        created_at=START + timedelta(hours=5),
        request=forms.ManifestRequest(
            cameras=(
                forms.ManifestCamera(id=UUID(int=3), slug="gate", name="Gate 東"),
                forms.ManifestCamera(id=UUID(int=4), slug="yard", name="Yard"),
            ),
            range=WANTED,
            format="mp4",
            quality="original",
            layout="separate",
            reason=reason,
            requested_by="inspector@example.org",
            requested_at=START + timedelta(hours=4),
            expires_at=START + timedelta(days=7),
        ),
        files=(
            clip,
            forms.ManifestFile(
                name="all/cameras.zip",
                kind="archive",
                size_bytes=3,
                sha256=digest(b"zip"),
                cameras=("gate", "yard"),
                made="archive of 1 file",
                members=(inner,),
            ),
        ),
        footage=(
            forms.ManifestFootage(
                camera="gate", wanted=WANTED, picture=picture, gaps=(gap,), overlaps=(), sources=(source,)
            ),
            forms.ManifestFootage(camera="yard", wanted=WANTED, picture=None, gaps=(WANTED,), overlaps=(), sources=()),
        ),
        watermark=forms.ManifestWatermark(id="WM-1", text="Police copy"),
        tools={"ffmpeg": "8.1", "reelkeeper": "0.1.0"},
        commands=(("ffmpeg", "-i", "file:store:cloud/a b.mp4", "file:cuts/gate.mp4"),),
    )


MANIFEST = made()
FILE = forms.signed(MANIFEST, SIGNER)


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """The folder of an export as it was downloaded."""
    (tmp_path / "all").mkdir()
    for name, data in (("gate.mp4", CLIP), ("all/cameras.zip", b"zip"), (forms.MANIFEST_NAME, FILE)):
        (tmp_path / name).write_bytes(data)
    return tmp_path


def look(folder: Path, *files: Path, keys: tuple[PublicKey, ...] = (SIGNER.public_key,)) -> Verdict:
    return verify(folder / forms.MANIFEST_NAME, keys, files or None)


def wrong(verdict: Verdict) -> list[str]:
    assert not verdict.is_genuine
    return [f"{finding.what}: {finding.detail}" for finding in verdict.findings if not finding.ok]


# --- the form ---------------------------------------------------------------------------------------------------------


def test_what_was_written_is_read_again() -> None:
    found = forms.read_manifest(FILE)
    assert found.manifest == MANIFEST
    assert found.signature.key_id == SIGNER.key_id
    assert forms.signed(found.manifest, SIGNER) == FILE  # the same bytes each time
    document = json.loads(FILE)
    assert document["manifest"]["request"]["range"] == {
        "start": "2026-11-21T08:00:00.000000Z", "end": "2026-11-21T08:30:00.000000Z"
    }  # fmt: skip
    assert document["manifest"]["footage"][0]["picture"]["first_frame"] == "2026-11-21T08:00:00.040000Z"
    assert "東" in FILE.decode()  # for people


def test_there_are_no_fractions_in_it() -> None:
    def numbers(value: Any) -> list[Any]:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
        return [value] if isinstance(value, int | float) else [found for each in inner for found in numbers(each)]

    found = numbers(json.loads(FILE))
    assert found
    assert all(type(number) is int for number in found)


@pytest.mark.skipif(not (shutil.which("openssl") and shutil.which("jq")), reason="needs openssl and jq")
def test_it_is_proved_without_a_line_of_ours(export: Path) -> None:
    """As docs/operations.md tells it."""
    (export / "key.pem").write_text(SIGNER.public_key.pem)
    done = subprocess.run(
        ["bash", "-euc", """
        jq -jcS .manifest manifest.json > signed
        jq -r .signature.value manifest.json | base64 -d > signature
        openssl pkeyutl -verify -pubin -inkey key.pem -rawin -in signed -sigfile signature
        openssl pkey -pubin -in key.pem -outform DER | sha256sum
        """],
        cwd=export, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "Verified Successfully" in done.stdout
    assert done.stdout.split()[-2] == SIGNER.key_id.removeprefix("sha256:")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda document: document["manifest"].pop("request"), "manifest.request is missing"),
        (lambda document: document["manifest"].update(note="x"), "manifest.note is not known"),
        (lambda document: document.update(note="x"), "note is not known"),
        (lambda document: document.pop("signature"), "signature is missing"),
        (lambda document: document["manifest"]["files"][0].pop("sha256"), "manifest.files[0].sha256 is missing"),
        (lambda document: document["manifest"]["files"][0].update(x=1), "manifest.files[0].x is not known"),
        (lambda document: document["manifest"]["files"][0].update(name="../x"), "canonical"),
        (lambda document: document["manifest"]["files"][0].update(size_bytes=1.5), "files[0].size_bytes"),
        (lambda document: document["manifest"]["files"][0].update(size_bytes="17"), "files[0].size_bytes"),
        (lambda document: document["manifest"]["files"][1].update(name="gate.mp4"), "different names"),
        (lambda document: document["manifest"]["request"]["range"].update(x=1), "expected exactly 'start' and 'end'"),
        (lambda document: document["manifest"]["request"].update(requested_at="2026-11-21T08:00:00"), "naive"),
        (lambda document: document["manifest"]["footage"][0].update(camera="roof"), "not among those asked for"),
        (lambda document: document["manifest"].update(schema="reelkeeper/export-manifest/2"), "export-manifest/2'"),
        (lambda document: document["signature"].update(algorithm="none"), "signature.algorithm"),
        (lambda document: document["signature"].update(key_id="x"), "signature.key_id"),
    ],
)  # fmt: skip
def test_another_form_is_told_by_its_place(change: Any, says: str) -> None:
    document = json.loads(FILE)
    change(document)
    with pytest.raises(InvalidManifest) as refused:
        forms.read_manifest(json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n")
    assert says in str(refused.value)


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"null", b"\xff", b"{" * 100_000, b"[" * 100_000, CLIP,
                                  b'{"manifest": []}'])  # fmt: skip
def test_what_is_no_manifest_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidManifest):
        forms.read_manifest(data)


def test_one_that_was_written_anew_is_refused() -> None:
    with pytest.raises(InvalidManifest, match="not as Reelkeeper writes it, from byte 1 on"):
        forms.read_manifest(json.dumps(json.loads(FILE)).encode())
    with pytest.raises(InvalidManifest, match="not as Reelkeeper writes it"):
        forms.read_manifest(FILE.replace(b'"estate": "demo"', b'"estate": "other",\n    "estate": "demo"'))


def test_a_manifest_that_cannot_be_right_is_not_made() -> None:
    for wrong_part in ({"footage": (replace(MANIFEST.footage[0], camera="roof"),)}, {"files": MANIFEST.files * 2}):
        with pytest.raises(ValueError, match="expected"):
            replace(MANIFEST, **wrong_part)
    with pytest.raises(ValueError, match="naive"):
        replace(MANIFEST, created_at=datetime(2026, 1, 1))  # noqa: DTZ001


# --- proving ----------------------------------------------------------------------------------------------------------


def test_frames_outside_the_wanted_range_are_not_claimed() -> None:
    footage = MANIFEST.footage[0]
    assert footage.picture is not None
    second = timedelta(seconds=1)
    for outside in (
        {"first_frame": footage.wanted.start - second},
        {"last_frame": footage.wanted.end + second},
        {"first_frame": footage.picture.last_frame + second},
    ):
        shown = replace(footage, picture=replace(footage.picture, **outside))
        with pytest.raises(ValueError, match=r"camera 'gate' shows .*: expected frames from 2026-11-21T08:00:00"):
            replace(MANIFEST, footage=(shown,))


def test_an_export_as_it_was_made(export: Path) -> None:
    verdict = look(export)
    assert verdict.is_genuine
    assert [finding.what for finding in verdict.findings] == ["signature", "gate.mp4", "all/cameras.zip"]


@given(st.data())
def test_one_changed_byte_of_the_manifest_shows(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(FILE) - 1))
    changed = bytearray(FILE)
    changed[at] ^= data.draw(st.integers(1, 255))
    assert not _is_proved(bytes(changed))


@given(st.data())
def test_a_lost_or_added_byte_of_the_manifest_shows(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(FILE)))
    extra = data.draw(st.sampled_from([b"", b" ", b"\n", b"0", b"\x00", b"{}"]))
    changed = FILE[:at] + extra + FILE[at + (not extra) :]
    assert changed == FILE or not _is_proved(changed)


def test_every_bit_of_the_signature_counts() -> None:
    """Base64 has bits that stand for nothing: they may not change either."""
    value = json.loads(FILE)["signature"]["value"].encode()
    start = FILE.index(value)
    for at in (start, *range(start + len(value) - 4, start + len(value))):
        for other in b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdwxyz0189+/=":
            if FILE[at] != other:
                assert not _is_proved(FILE[:at] + bytes([other]) + FILE[at + 1 :])


def _is_proved(data: bytes) -> bool:
    try:
        found = forms.read_manifest(data)
        return found.signature.key_id == SIGNER.key_id and SIGNER.public_key.proves(
            found.canonical, found.signature.data
        )
    except ValueError:
        return False


@given(reason=st.text(min_size=1), at=st.integers(0, 7))
def test_whatever_a_reason_holds(reason: str, at: int) -> None:
    file = forms.signed(made(reason), SIGNER)
    found = forms.read_manifest(file)
    assert found.manifest.request.reason == reason
    assert found.canonical == rfc8785.dumps(json.loads(file)["manifest"])
    assert SIGNER.public_key.proves(found.canonical, found.signature.data)
    signature = bytearray(found.signature.data)
    signature[at * 8] ^= 1 << at
    assert not SIGNER.public_key.proves(found.canonical, bytes(signature))


@pytest.mark.parametrize("at", range(len(CLIP)))
def test_one_changed_byte_of_a_file_shows(export: Path, at: int) -> None:
    changed = bytearray(CLIP)
    changed[at] ^= 1
    (export / "gate.mp4").write_bytes(changed)
    assert wrong(look(export)) == [
        f"gate.mp4: it was changed: its SHA-256 is {digest(bytes(changed))}, expected {digest(CLIP)}"
    ]
    assert wrong(look(export, export / "gate.mp4"))


def test_files_that_are_shorter_gone_or_foreign(export: Path) -> None:
    (export / "gate.mp4").write_bytes(CLIP[:-1])
    (export / "all/cameras.zip").unlink()
    (export / "other.mp4").write_bytes(b"x")
    assert wrong(look(export)) == [
        "gate.mp4: it was changed: it has 16 bytes, expected 17",
        "all/cameras.zip: cannot be read: No such file or directory",
    ]
    assert wrong(look(export, export / "other.mp4"))[0].endswith(
        "other.mp4: not of this export: expected one of ['gate.mp4', 'all/cameras.zip', 'gate.mkv']"
    )


def test_a_file_is_known_by_its_bytes(export: Path) -> None:
    renamed = (export / "gate.mp4").rename(export / "evidence (1).mp4")
    (export / "unpacked.mkv").write_bytes(b"mkv")
    verdict = look(export, renamed, export / "unpacked.mkv")
    assert verdict.is_genuine
    assert [finding.detail.partition(",")[0] for finding in verdict.findings[1:]] == ["'gate.mp4'", "'gate.mkv'"]
    assert verdict.not_looked_at == ("all/cameras.zip",)


def test_another_key_proves_nothing(export: Path) -> None:
    other = Signer.create()
    assert wrong(look(export, keys=(other.public_key,))) == [
        f"signature: made with another key, {SIGNER.key_id}: expected one of ['{other.key_id}']"
    ]
    assert look(export, keys=(other.public_key, SIGNER.public_key)).is_genuine  # after a rotation
    claimed = forms.SignedManifest(
        manifest=MANIFEST, signature=replace(forms.read_manifest(FILE).signature, key_id=other.key_id)
    )
    (export / forms.MANIFEST_NAME).write_bytes(claimed.data)
    assert wrong(look(export, keys=(other.public_key,))) == [
        "signature: it does not fit the manifest: one of them was changed"
    ]


def test_a_manifest_of_nothing_is_no_proof(export: Path) -> None:
    (export / forms.MANIFEST_NAME).write_bytes(forms.signed(replace(MANIFEST, files=()), SIGNER))
    assert wrong(look(export)) == ["files: the manifest names none: expected at least one"]


# --- keys -------------------------------------------------------------------------------------------------------------


def test_keys_survive_forms_and_variables() -> None:
    pem = SIGNER.private_pem()
    for spoilt in (pem, pem.replace("\n", ""), pem.replace("\n", "\\n"), pem.replace("\n", " "), f"  {pem}\n\n"):
        assert Signer.from_pem(spoilt, name="x").key_id == SIGNER.key_id
    assert PublicKey.from_pem(SIGNER.public_key.pem.replace("\n", ""), name="x").id == SIGNER.key_id
    assert repaired_pem("nothing") == "nothing"


def test_what_is_no_key_is_refused_without_showing_it() -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    other = ec.generate_private_key(ec.SECP256R1())
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    plain = other.private_bytes(*form, serialization.NoEncryption()).decode()
    locked = other.private_bytes(*form, serialization.BestAvailableEncryption(b"pass")).decode()
    spoilt = SIGNER.private_pem().replace("M", "N")
    for pem, says in (
        (plain, "expected Ed25519"), (locked, "it is encrypted"), (spoilt, "cannot be read"), ("", "cannot be read"),
        (SIGNER.public_key.pem, "cannot be read"),
    ):  # fmt: skip
        with pytest.raises(ConfigurationError, match="connection 'x' holds") as refused:
            Signer.from_pem(pem, name="connection 'x'")
        assert says in str(refused.value)
        assert refused.value.__cause__ is None
        assert not pem or pem.splitlines()[1] not in str(refused.value)
    for pem in (SIGNER.private_pem(), "x", plain):
        with pytest.raises(ConfigurationError):
            PublicKey.from_pem(pem, name="file 'x'")
    assert SIGNER.private_pem().splitlines()[1] not in repr(SIGNER) + repr(vars(SIGNER))


# --- what made it -----------------------------------------------------------------------------------------------------


def test_the_tools_are_named() -> None:
    found = tool_versions()
    assert sorted(found) == ["av", "ffmpeg", "python", "reelkeeper"]
    assert all(value[0].isdigit() or value[0] in "nN" for value in found.values()), found


@pytest.mark.parametrize(
    ("argument", "shown"),
    [
        ("file:/srv/e 1/cuts/gate.mp4", "file:cuts/gate.mp4"),
        ("/srv/e 1", "."),
        ("/srv/e 1/", ""),
        ("/srv/e 10/secret/x.mp4", "x.mp4"),
        ("file:/mnt/footage/media/a b.mp4", "file:store:local/media/a b.mp4"),
        ("concat:/mnt/footage/a.ts|/mnt/footage/b.ts", "concat:store:local/a.ts|store:local/b.ts"),
        ("/home/anna/x y/clip.mp4", "clip.mp4"),
        ("file:/home/anna/clip.mp4", "file:clip.mp4"),
        ("movie='/home/anna/logo.png':loop=0", "movie='logo.png':loop=0"),
        ("fps=30000/1001,setpts=(PTS-STARTPTS)/TB", "fps=30000/1001,setpts=(PTS-STARTPTS)/TB"),
        ("[0:v][1:v]overlay=x=(W-w)/2:y=0", "[0:v][1:v]overlay=x=(W-w)/2:y=0"),
        ("https://me:secret@s3.example/b/k.mp4?X-Amz-Signature=abc#x", "https://s3.example/b/k.mp4"),
        ("yuv420p", "yuv420p"),
        ("-1", "-1"),
    ],
)
def test_command_lines_tell_nothing_of_the_machine(argument: str, shown: str) -> None:
    assert portable_argument(argument, {Path("/srv/e 1"): "", Path("/mnt/footage"): "store:local/"}) == shown


@given(st.lists(st.sampled_from(["/srv/x", "/srv/x/", "/home/me/", "a b", "file:", ":", "=", "|", "'", "m.mp4"])))
def test_no_folder_of_the_machine_is_left(parts: list[str]) -> None:
    shown = portable_argument("".join(parts), {Path("/srv/x"): ""})
    assert not re.search(r"(^|[ :=|'])/(work|home)/", shown)


def test_programs_are_named_without_their_folder() -> None:
    assert portable_commands([("/opt/x/ffmpeg", "-i", "/w/a.mp4")], {Path("/w"): ""}) == (("ffmpeg", "-i", "a.mp4"),)
