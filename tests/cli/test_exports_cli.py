"""`reelkeeper verify-export` and `signing-key`: on a machine that has nothing but the files and the public key."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from reelkeeper.media.manifest import Manifest, signed
from reelkeeper.media.signing import Signer
from reelkeeper_airflow.cli import main
from tests.media.test_manifest import CLIP, MANIFEST

Run = Callable[..., Result]


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    """A key, whose public half is in `key.pem`."""
    signer = Signer.create()
    (tmp_path / "key.pem").write_text(signer.public_key.pem)
    return signer


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, [*arguments])

    return run


def write(folder: Path, signer: Signer, manifest: Manifest = MANIFEST) -> Path:
    """An export as it was downloaded."""
    (folder / "all").mkdir(parents=True)
    (folder / "gate.mp4").write_bytes(CLIP)
    (folder / "all/cameras.zip").write_bytes(b"zip")
    (folder / "manifest.json").write_bytes(signed(manifest, signer))
    return folder


def test_an_export_is_told_whole(run: Run, tmp_path: Path, signer: Signer) -> None:
    write(tmp_path / "export", signer)
    said = run("verify-export", "export", "--public-key", "key.pem")
    assert said.exit_code == 0, said.output
    assert said.output.splitlines() == [
        "manifest  export/manifest.json",
        "export    00000000-0000-0000-0000-000000000001 of estate demo, tenant acme",
        "wanted    2026-11-21 08:00:00 UTC to 2026-11-21 08:30:00 UTC (0:30:00)",
        "as        mp4, quality original, layout separate",
        "asked by  inspector@example.org, 2026-11-21 12:00:00 UTC",
        'reason    case 7: was it "O\'Brien"? – é\\n',
        "made      2026-11-21 13:00:00 UTC with ffmpeg 8.1, reelkeeper 0.1.0",
        "watermark WM-1: Police copy",
        "camera    gate (Gate 東)",
        "  frames  43500, 2026-11-21 08:00:00.040000 UTC to 2026-11-21 08:29:00 UTC",
        "  picture h264 1920x1080, smart: only partial groups of pictures are encoded",
        "  gap     2026-11-21 08:20:00 UTC to 2026-11-21 08:21:00 UTC (0:01:00)",
        "  source  cloud: media/acme/gate/2026/11/21/a.mp4",
        "          2026-11-21 07:55:00 UTC to 2026-11-21 08:20:00 UTC (0:25:00), 1234 bytes, SHA-256 "
        + sha256(b"segment").hexdigest(),
        "camera    yard (Yard)",
        "  frames  none: there is no footage",
        "  gap     2026-11-21 08:00:00 UTC to 2026-11-21 08:30:00 UTC (0:30:00)",
        f"pass  signature: made with key {signer.key_id}",
        f"pass  gate.mp4: SHA-256 {sha256(CLIP).hexdigest()}",
        f"pass  all/cameras.zip: SHA-256 {sha256(b'zip').hexdigest()}",
        "GENUINE: as it was when it was signed",
    ]


def test_one_changed_byte_fails(run: Run, tmp_path: Path, signer: Signer) -> None:
    for name, at in (("gate.mp4", 3), ("all/cameras.zip", 0), ("manifest.json", 700), ("manifest.json", -20)):
        folder = write(tmp_path / f"{name.replace('/', '-')}{at}", signer)
        data = bytearray((folder / name).read_bytes())
        data[at] ^= 1
        (folder / name).write_bytes(data)
        said = run("verify-export", str(folder / "manifest.json"), "--public-key", "key.pem")
        assert said.exit_code == 1, said.output
        assert "\nFAIL  " in said.output
        assert said.output.splitlines()[-1] == "NOT GENUINE: nothing above is proved"


def test_single_files_and_several_exports(run: Run, tmp_path: Path, signer: Signer) -> None:
    one, two = write(tmp_path / "one", signer), write(tmp_path / "two", signer)
    said = run("verify-export", "one/gate.mp4", "two", "--public-key", "key.pem")
    assert said.exit_code == 0, said.output
    assert said.output.count("GENUINE") == 2
    assert said.output.count("not looked at: all/cameras.zip") == 1
    (two / "gate.mp4").write_bytes(b"x")
    assert run("verify-export", "one/gate.mp4", "two", "--public-key", "key.pem").exit_code == 1
    moved = (one / "gate.mp4").rename(tmp_path / "evidence.mp4")
    said = run("verify-export", moved.name, "--public-key", "key.pem")
    assert said.exit_code == 1
    assert "has no manifest beside it: expected one of ['evidence.mp4.manifest.json', 'manifest.json']" in said.output
    assert run("verify-export", moved.name, "--manifest", "one/manifest.json", "--public-key", "key.pem").exit_code == 0
    (one / "manifest.json").rename(tmp_path / "evidence.mp4.manifest.json")
    assert run("verify-export", moved.name, "--public-key", "key.pem").exit_code == 0


def test_a_folder_holds_nothing_that_the_manifest_does_not_name(run: Run, tmp_path: Path, signer: Signer) -> None:
    """The verdict on a folder would seem to hold for a foreign clip in it, too."""
    folder = write(tmp_path / "export", signer)
    (tmp_path / "key.pem").rename(folder / "key.pem")  # as somebody may have put it
    (folder / ".DS_Store").write_bytes(b"of a file manager")
    arguments = ("--public-key", "export/key.pem")
    assert run("verify-export", "export", *arguments).exit_code == 0
    (folder / "all/gate_extra.mp4").write_bytes(b"foreign")
    (folder / "elsewhere").symlink_to(tmp_path)
    said = run("verify-export", "export", *arguments)
    assert said.exit_code == 1
    assert "FAIL  all/gate_extra.mp4: not of this export: the manifest does not name it" in said.output.splitlines()
    assert "FAIL  elsewhere: not of this export: the manifest does not name it" in said.output.splitlines()
    assert said.output.splitlines()[-1] == "NOT GENUINE: nothing above is proved"
    # Who asks of the manifest asks of what it names, which may lie among other downloads.
    assert run("verify-export", "export/manifest.json", *arguments).exit_code == 0


def test_a_manifest_cannot_write_to_the_terminal(run: Run, tmp_path: Path, signer: Signer) -> None:
    forged = replace(MANIFEST, request=replace(MANIFEST.request, reason="\x1b[2J\nGENUINE: yes\r\u202e"))
    write(tmp_path / "export", Signer.create(), forged)
    said = run("verify-export", "export", "--public-key", "key.pem")
    assert said.exit_code == 1
    assert "reason    \\x1b[2J\\nGENUINE: yes\\r\\u202e" in said.output.splitlines()
    assert f"expected one of ['{signer.key_id}']" in said.output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("export",), "Missing option '--public-key'"),
        (("nothing.mp4", "--public-key", "key.pem"), "does not exist"),
        (("export", "--public-key", "export/gate.mp4"), "holds no public key"),
        (("all", "--public-key", "key.pem"), "cannot be read: No such file"),
    ],
)
def test_what_is_missing_is_told(
    run: Run, tmp_path: Path, signer: Signer, arguments: tuple[str, ...], says: str
) -> None:
    write(tmp_path / "export", signer)
    (tmp_path / "all").mkdir()
    said = run("verify-export", *arguments)
    assert said.exit_code != 0
    assert says in said.output


def test_on_a_machine_without_airflow_or_estate(tmp_path: Path, signer: Signer) -> None:
    write(tmp_path / "export", signer)
    code = (
        "import sys, click.testing as t, reelkeeper_airflow.cli as c\n"
        "print(t.CliRunner().invoke(c.main, ['verify-export', 'export', '--public-key', 'key.pem']).exit_code)\n"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'airflow', 'boto3', 'psycopg2', 'av', 'obstore'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env={"HOME": str(tmp_path)}, capture_output=True,
                          text=True, check=True)  # fmt: skip
    assert done.stdout.split() == ["0", "[]"]


def test_a_key_is_made_once_and_for_its_owner_alone(run: Run, tmp_path: Path) -> None:
    made = run("signing-key", "create", "private.pem")
    assert made.exit_code == 0, made.output
    file = tmp_path / "private.pem"
    assert file.stat().st_mode & 0o777 == 0o600
    signer = Signer.from_pem(file.read_text(), name="x")
    assert made.stdout == signer.public_key.pem
    assert signer.key_id in made.stderr
    assert file.read_text().splitlines()[1] not in made.output
    assert run("signing-key", "create", "private.pem").exit_code == 1
    shown = run("signing-key", "public", "private.pem")
    assert (shown.stdout, shown.stderr) == (signer.public_key.pem, f"key {signer.key_id}\n")
