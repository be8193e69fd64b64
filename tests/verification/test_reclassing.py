"""A look that meets another storage class than recorded puts the catalogue right, however the object came there."""

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.model import ReplicaState, Tier
from reelkeeper.stores.memory import MemoryStore
from reelkeeper.verification.confirming import verify_segment

if TYPE_CHECKING:
    from tests.verification.conftest import Shelf


@pytest.fixture
def cloud(shelf: "Shelf") -> MemoryStore:
    shelf.stores["cloud"] = store = MemoryStore("cloud", clock=lambda: shelf.now)  # type: ignore[arg-type]
    return store


@pytest.mark.parametrize("method", ["presence", "size", "hash"])
def test_what_is_archived_behind_our_back_is_recorded(shelf: "Shelf", cloud: MemoryStore, method: str) -> None:
    segments = shelf.record(20, "cloud", storage_class="STANDARD")
    archived = shelf.replica(segments[3], "cloud")
    cloud.set_class(archived.path, "GLACIER")
    found = shelf.verify("cloud", method=method)
    assert (found.wrong, found.missing, found.unknown) == (0, 0, 0)
    after = shelf.replica(segments[3], "cloud")
    assert (after.state, after.storage_class, after.tier) == (ReplicaState.AVAILABLE, "GLACIER", Tier.ARCHIVE)
    assert after.verified_at == archived.verified_at  # it was not read
    assert {shelf.replica(one, "cloud").storage_class for one in segments} == {"STANDARD", "GLACIER"}


def test_a_restored_copy_that_is_gone_before_its_time_is_recorded(
    shelf: "Shelf", cloud: MemoryStore, catalogue: Catalogue
) -> None:
    (segment,) = shelf.record(1, "cloud", storage_class="GLACIER")
    shelf.sql("UPDATE replicas SET readable_until = %s", shelf.now + timedelta(days=3))
    (finding,) = verify_segment(shelf.estate, catalogue, shelf.stores.__getitem__, segment.id, now=lambda: shelf.now)
    assert (finding.how, finding.error) == ("seen", None)
    assert shelf.replica(segment, "cloud").readable_until is None
