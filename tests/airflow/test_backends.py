"""The five places that README lists for a backend: each kind of store has them all."""

from importlib import import_module
from pathlib import Path

import pytest

from reelkeeper.model import StoreKind

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("kind", [kind for kind in StoreKind if kind is not StoreKind.MEMORY])
def test_a_backend_has_its_five_places(kind: StoreKind) -> None:
    assert import_module(f"reelkeeper.stores.{kind}")
    assert f"StoreKind.{kind.name}" in (ROOT / "include/reelkeeper/stores/registry.py").read_text()
    assert callable(import_module(f"reelkeeper_airflow.hooks.{kind}").access_for)
    assert import_module(f"reelkeeper_airflow.operators.{kind}").BACKEND.set_up.kind is kind
    rigs = (ROOT / "tests/stores/rigs.py").read_text() + (ROOT / "tests/stores/conftest.py").read_text()
    assert f"StoreKind.{kind.name}" in rigs or f"def {kind}_rig" in rigs
