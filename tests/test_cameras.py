"""Cameras from CSV: the whole file first, then all of it or nothing."""

from collections.abc import Sequence
from uuid import UUID

import pytest

from reelkeeper.cameras import InvalidCameras, import_cameras, parse_cameras
from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.model import Camera, CameraId, Tenant, camera_id

TENANT = Tenant("north")
ID = "0189d7a0-0000-4000-8000-000000000001"


def parse(text: str) -> list[Camera]:
    return [row.camera for row in parse_cameras(text.splitlines(keepends=True), tenant=TENANT)]


def test_only_a_name_is_needed() -> None:
    assert parse("name\nFront Gate\n") == [
        Camera(camera_id(TENANT, "front-gate"), TENANT, "front-gate", "Front Gate", None)
    ]


@pytest.mark.parametrize(
    "text",
    [
        f'name,slug,id,tenant,retention_days\n"Gate, front",gate,{ID},south,30\n',
        f"NAME;slug;id;tenant;retention_days\nGate, front;gate;{ID};south;30\n",
        f'retention_days,tenant,id,slug,name\n\n 30 , south,{ID.upper()},gate,"Gate, front"\n,,,,\n',
    ],
)
def test_all_columns_in_any_order_and_dialect(text: str) -> None:
    assert parse(text) == [Camera(CameraId(UUID(ID)), Tenant("south"), "gate", "Gate, front", 30)]


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("", ["line 1: columns []"]),
        ("slug\ngate\n", ["line 1: columns ['slug']"]),
        ("name,colour\nGate,red\n", ["line 1: columns ['name', 'colour']"]),
        ("name,name\nGate,Gate\n", ["line 1: columns"]),
        ("name\nGate,extra\n", ["line 2: 2 cells: expected 1"]),
        ('name\n"Gate\n', ["line 2: unexpected end of data"]),
        ("name,slug\n,gate\n", ["line 2: no name"]),
        ("name\nFähre\n車庫\n", ["line 3: camera name '車庫' has no letter"]),
        ("name,slug\nGate,Front Gate\n", ["line 2: slug 'Front Gate'"]),
        ("name,slug\nGate,../up\n", ["line 2: slug '../up'"]),
        ("name,tenant\nGate,North East\n", ["line 2: tenant 'North East'"]),
        ("name,id\nGate,17\n", ["line 2: id '17': expected a UUID"]),
        ("name,retention_days\nA,0\nB,-1\nC,1.5\nD,²\nE,30\n", [f"line {n}: retention_days" for n in (2, 3, 4, 5)]),
        ("name\nGate\ngate\n", ["line 3: slug 'gate' of tenant 'north': line 2 has it"]),
        (f"name,id\nA,{ID}\nB,{ID}\n", [f"line 3: id '{ID}': line 2 has it"]),
        ("name,slug,id,tenant\n,?,?,?\n", ["line 2: no name", "line 2: tenant", "line 2: slug", "line 2: id"]),
        ('name,id\n"two\nlines",17\nGate,18\n', ["line 3: id '17'", "line 4: id '18'"]),
    ],
)
def test_every_wrong_row_is_told_with_its_line(text: str, problems: list[str]) -> None:
    with pytest.raises(InvalidCameras) as raised:
        parse(text)
    found = raised.value.problems
    assert len(found) == len(problems), found
    assert all(one.startswith(begin) for one, begin in zip(found, problems, strict=True)), found


def _import(catalogue: Catalogue, text: str) -> tuple[Sequence[str], Sequence[str], Sequence[str]]:
    done = import_cameras(catalogue.cameras, parse_cameras(text.splitlines(keepends=True), tenant=TENANT))
    created, updated, unchanged = ([camera.slug for camera in part] for part in (done.created, done.updated,
                                                                                 done.unchanged))  # fmt: skip
    return created, updated, unchanged


def test_an_import_can_be_repeated_and_says_what_it_did(catalogue: Catalogue) -> None:
    assert _import(catalogue, "name,retention_days\nGate,30\nYard,\n") == (["gate", "yard"], [], [])
    assert _import(catalogue, "name,retention_days\nGate,30\nYard,\n") == ([], [], ["gate", "yard"])
    assert _import(catalogue, "name,retention_days\nGate,\nYARD,\nRoof,7\n") == (["roof"], ["gate", "yard"], [])
    stored = catalogue.cameras.by_slug(TENANT)
    assert {slug: (camera.name, camera.retention_days) for slug, camera in stored.items()} == {
        "gate": ("Gate", None), "yard": ("YARD", None), "roof": ("Roof", 7),
    }  # fmt: skip


def test_a_file_without_retention_changes_none(catalogue: Catalogue) -> None:
    _import(catalogue, "name,retention_days\nGate,30\n")
    assert _import(catalogue, "name\nGate\n") == ([], [], ["gate"])
    assert catalogue.cameras.by_slug(TENANT)["gate"].retention_days == 30


def test_an_id_never_changes(catalogue: Catalogue) -> None:
    _import(catalogue, f"name,id\nGate,{ID}\n")
    assert _import(catalogue, "name\nGate\n") == ([], [], ["gate"])
    with pytest.raises(InvalidCameras) as raised:
        _import(catalogue, f"name,id\nYard,\nGate,{UUID(int=7)}\nRoof,{ID}\n")
    assert [problem.split(":")[0] for problem in raised.value.problems] == ["line 3", "line 4"]
    assert catalogue.cameras.by_slug(TENANT).keys() == {"gate"}
    assert catalogue.cameras.by_slug(TENANT)["gate"].id == UUID(ID)
