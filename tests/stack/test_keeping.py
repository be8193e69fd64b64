"""The jobs that move and delete, on the whole stack: killed in the middle, asked, told not to. A clock passes the days.

The tests follow one another as the days do.
"""

import csv
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit
from uuid import uuid4

import httpx
import pytest

from demo.audit import audit, everywhere, keys_in, s3_client
from demo.footage import MadeFile
from demo.main_job import STORES
from reelkeeper.model import Key, StoreName
from reelkeeper.stores.own_links import OwnLinks
from tests.browser import BROWSER, browser
from tests.stack.rig import Stack, awaited, conf_of, killed

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("stack")]
SETTINGS = {
    "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
    "REELKEEPER__RETENTION_CAPS__SOFT_COUNT": "10",  # a person is asked
}

TODAY = datetime.now(UTC)
STARTS = [TODAY.replace(microsecond=0) - timedelta(hours=3) + timedelta(seconds=5 * index) for index in range(40)]
CAMERAS = ("corridor", "stairs")
KEPT = "stairs"
"""Its copies come back from condemnation."""
STRAYS = [f"media/demo/nobody/2020/02/28/20200228T0000{index:02}Z_{uuid4()}.mp4" for index in range(6)]


def on_day(day: int, **conf: Any) -> dict[str, Any]:
    """The conf of a run that acts on a day to come."""
    return {"clock": (TODAY + timedelta(days=day)).isoformat(), "dry_run": False, **conf}


@pytest.fixture(scope="module")
def made(stack: Stack) -> Sequence[MadeFile]:
    """Recordings of two cameras with a copy in both stores, and strays in the cloud."""
    made = [file for camera in CAMERAS for file in stack.record(camera, STARTS, padding_bytes=20_000)]
    run_id = stack.job.start("migrate_recordings", {"percentage": 100, **conf_of(STARTS)})
    stack.job.finish("migrate_recordings", run_id)
    client = s3_client(stack.servers.seaweedfs)
    for key in STRAYS:
        client.put_object(Bucket=stack.servers.cloud_bucket, Key=key, Body=b"nobody knows me")
    return made


def run(stack: Stack, dag_id: str, conf: dict[str, Any], *, answer: str | None = None) -> int:
    """A run to its end; how often it asked."""
    return stack.job.finish(dag_id, stack.job.start(dag_id, conf), answer=answer)


def lost(stack: Stack, made: Sequence[MadeFile]) -> list[MadeFile]:
    """What has no copy that is right."""
    return audit(stack.servers, everywhere(made, STORES)).lost


def in_quarantine(stack: Stack) -> set[str]:
    """Where what lies in the cloud's quarantine was found."""
    keys = keys_in(stack.servers.seaweedfs, stack.servers.cloud_bucket, "quarantine/")
    return {key.removeprefix("quarantine/") for key in keys}


def test_a_reconciliation_killed_between_quarantine_and_record(stack: Stack, made: Sequence[MadeFile]) -> None:
    cloud = {"stores": ["cloud"]}
    run(stack, "reconcile_stores", on_day(2, **cloud))
    run_id, killed_tasks = killed(stack, "reconcile_stores", on_day(3, **cloud), table="orphans", event="UPDATE",
                                  when="NEW.state = 'quarantined'")  # fmt: skip
    assert "cloud.quarantine" in killed_tasks
    stack.job.finish("reconcile_stores", run_id, answer="Approve")
    assert audit(stack.servers, everywhere(made, STORES)).problems == []
    assert in_quarantine(stack) == set(STRAYS)


def test_a_report_is_for_those_who_may_see_the_runs(stack: Stack) -> None:
    [(run_id,)] = stack.rows("SELECT run_id FROM reelkeeper.reconciliations ORDER BY id DESC LIMIT 1")
    path = f"/dags/reconcile_stores/dagRuns/{run_id}/taskInstances/cloud.compare/links"
    url = stack.api.request("GET", path)["extra_links"]["Report"]
    assert httpx.get(url, trust_env=False).status_code == httpx.codes.UNAUTHORIZED
    rows = list(csv.DictReader(stack.api.text(url).splitlines()))
    assert {row["path"] for row in rows if row["finding"] == "orphan"} == set(STRAYS)


def test_a_link_to_a_disk_is_answered_and_not_logged(stack: Stack, made: Sequence[MadeFile]) -> None:
    """By whoever has it, through all that Airflow puts around its applications."""
    [(path, size_bytes)] = stack.rows("SELECT path, size_bytes FROM reelkeeper.replicas WHERE store = 'local' LIMIT 1")
    links = OwnLinks(stack.servers.secrets["api"], f"{stack.airflow.url}/reelkeeper")
    hour = timedelta(hours=1)
    url = links.make(StoreName("local"), Key(path), expires_in=hour, now=datetime.now(UTC)).url
    whole = httpx.get(url, trust_env=False)
    assert sha256(whole.content).hexdigest() in {file.sha256 for file in made}
    part = httpx.get(url, headers={"Range": "bytes=4-7"}, trust_env=False)
    assert (part.status_code, part.content) == (httpx.codes.PARTIAL_CONTENT, b"ftyp")
    assert part.headers["content-range"] == f"bytes 4-7/{size_bytes}"
    assert httpx.get(url.replace("token=", "token=x"), trust_env=False).status_code == httpx.codes.FORBIDDEN
    token = parse_qs(urlsplit(url).query)["token"][0]
    logged = (stack.servers.folder / "logs/api-server.log").read_text()
    assert path in logged
    assert token not in logged


def test_what_is_in_quarantine_comes_back(stack: Stack) -> None:
    which = {"store": "cloud", "path": STRAYS[0]}
    run(stack, "reconcile_stores", on_day(4, bring_back=which))
    assert in_quarantine(stack) == set(STRAYS[1:])
    assert keys_in(stack.servers.seaweedfs, stack.servers.cloud_bucket, STRAYS[0]) == {STRAYS[0]}
    s3_client(stack.servers.seaweedfs).delete_object(Bucket=stack.servers.cloud_bucket, Key=STRAYS[0])


def test_a_tier_move_killed_between_copy_and_record(stack: Stack, made: Sequence[MadeFile]) -> None:
    run_id, killed_tasks = killed(stack, "tier_recordings", on_day(8), table="tier_moves", event="UPDATE",
                                  when="NEW.state = 'done'")  # fmt: skip
    assert "in_cloud.move" in killed_tasks
    assert lost(stack, made) == []
    stack.job.finish("tier_recordings", run_id)
    assert lost(stack, made) == []
    tiers = "SELECT tier, count(*) FROM reelkeeper.replicas WHERE store = 'cloud' GROUP BY tier"
    assert stack.rows(tiers) == [("COOL", len(made))]


@pytest.fixture(scope="module")
def asking(stack: Stack, made: Sequence[MadeFile]) -> str:
    """A run of enforce_retention that waits for an answer."""
    run_id = stack.job.start("enforce_retention", on_day(32))
    awaited("a question", lambda: stack.api.tasks("enforce_retention", run_id, state="awaiting_input"), 120)
    return run_id


def test_a_question_is_on_the_estate_page(stack: Stack, asking: str) -> None:
    page = f"{stack.airflow.url}/reelkeeper/estate"
    assert httpx.get(page, trust_env=False).status_code == httpx.codes.UNAUTHORIZED
    shown = stack.api.text(page)
    [task] = stack.api.tasks("enforce_retention", asking, state="awaiting_input")
    where = f"../dags/enforce_retention/runs/{quote(asking, safe='')}/tasks/{task['task_id']}/required_actions"
    assert f'<a class="button" target="_top" href="{where}">Answer</a>' in shown


def test_inside_airflow_the_page_has_its_colours_and_leads_to_the_question(
    stack: Stack, asking: str, tmp_path: Path
) -> None:
    if BROWSER is None:
        pytest.skip("no Chromium is on PATH: nothing here can show a page")
    frame = "document.querySelector('iframe')?.contentDocument?"
    with browser(tmp_path / "profile") as tab:
        tab.sign_in(stack.airflow.url, stack.api.token())
        tab.look()
        tab.open(f"{stack.airflow.url}/plugin/estate")
        assert tab.wait_for(f"{frame}.querySelector('#safety h2')?.innerText")
        assert tab.evaluate("[...document.querySelectorAll('a')].some(link => link.pathname == '/plugin/estate')")
        for theme in ("dark", "light"):
            tab.evaluate(f"localStorage.setItem('theme', '{theme}'); dispatchEvent(new StorageEvent('storage', "
                         f"{{key: 'theme', newValue: '{theme}'}}))")  # fmt: skip
            tab.wait_for(f"{frame}.documentElement.dataset.theme == '{theme}'")
        tab.evaluate(f"{frame.rstrip('?')}.querySelector('#attention a.button').click()")
        tab.wait_for("location.pathname.endsWith('/required_actions')")
        assert asking in unquote(tab.evaluate("location.pathname"))


def test_a_no_leaves_all_where_it_is(stack: Stack, made: Sequence[MadeFile], asking: str) -> None:
    assert stack.job.finish("enforce_retention", asking, answer="Reject")
    assert stack.rows("SELECT count(*) FROM reelkeeper.condemnations WHERE reason = 'retired'") == [(0,)]
    assert lost(stack, made) == []


def test_a_retention_killed_between_deletion_and_forgetting(stack: Stack, made: Sequence[MadeFile]) -> None:
    assert run(stack, "enforce_retention", on_day(32), answer="Approve")
    run(stack, "enforce_retention", on_day(32, bring_back=f"camera:{KEPT}"))
    run_id, killed_tasks = killed(stack, "enforce_retention", on_day(34), table="deletions", event="INSERT",
                                  when="NEW.reason = 'retired'")  # fmt: skip
    assert "local.delete" in killed_tasks
    assert lost(stack, made) == []
    stack.job.finish("enforce_retention", run_id, answer="Approve")

    gone = [file for file in made if file.camera != KEPT]
    assert audit(stack.servers, everywhere(gone, ["cloud"]), nothing_else=False).problems == []
    history = "SELECT count(*), count(DISTINCT segment_id) FROM reelkeeper.deletions WHERE reason = 'retired'"
    assert stack.rows(history) == [(len(gone), len(gone))]
    assert lost(stack, made) == []
