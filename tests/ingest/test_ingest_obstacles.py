"""One bad file, or one bad hour, does not keep the rest out."""

import json
from typing import Any

import psycopg2
import pytest

from reelkeeper.catalogue.segments import Segments
from tests.ingest.rig import START, Rig, digest, name


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"duration_seconds": 86401}, "too_long"),
        ({"start_time": "2026-03-01T00:00:00Z", "end_time": "2026-03-02T00:00:00.000001Z"}, "too_long"),
        ({"duration_seconds": 1e300}, "bad_sidecar"),
        ({"start_time": "0001-01-01T00:00:00+23:00"}, "bad_sidecar"),
    ],
)
def test_a_sidecar_of_impossible_times_blocks_nothing(rig: Rig, said: dict[str, Any], code: str) -> None:
    file = rig.lands(f"gate/{name(0)}")
    file.with_name(f"{file.name}.json").write_text(json.dumps(said))
    rig.lands(f"gate/{name(1)}", number=1)
    result = rig.run()
    assert (result.ingested, dict(result.reasons)) == (1, {code: 1})


def test_a_file_that_the_catalogue_refuses_blocks_nothing(rig: Rig) -> None:
    """Whatever rule of the tables the code before it does not know."""
    digests = [digest(rig.lands(f"gate/{name(number)}", number=number)) for number in range(5)]
    rule = "CHECK (start_time <> '2026-03-01T00:00:20Z')"
    rig.rows(f"ALTER TABLE segments ADD CONSTRAINT no_third {rule}; COMMIT; SELECT 1")
    result = rig.run()
    assert (result.ingested, dict(result.reasons)) == (4, {"unrecordable": 1})
    assert rig.left() == [f".quarantine/gate/{name(2)}"]
    assert digest(rig.landing / rig.left()[0]) == digests[2]
    ((reason,),) = rig.rows("SELECT reason FROM landing_files WHERE state = 'quarantined'")
    assert "no_third" in reason
    assert len(rig.replica_digests()) == 4


def test_a_month_that_is_dropped_meanwhile_condemns_no_file(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    file = rig.lands(f"gate/{name(0)}")
    insert = Segments._insert

    def insert_into_nothing(*arguments: Any) -> Any:
        rig.rows(f"DROP TABLE segments_{START:%Y_%m} CASCADE; COMMIT; SELECT 1")
        return insert(*arguments)

    plan = rig.plan()
    with monkeypatch.context() as patches:
        patches.setattr(Segments, "_insert", insert_into_nothing)
        with pytest.raises(psycopg2.errors.CheckViolation):
            rig.batch(plan.batches[0].id)
    assert file.exists()
