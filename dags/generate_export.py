"""Cut footage out for somebody: what cameras saw between two instants, to the frame, with a manifest that proves it.

Request checked, footage **held** (nothing of it is deleted meanwhile) → archived footage restored, waiting without a
worker → each camera cut, in tasks of their own → mosaic, sequence or archive; thumbnail, contact sheet, playback →
manifest signed → COMPLETED. The export then lives for `expiry_days`; `enforce_retention` removes it. Its id follows
from the run, or is param `export_id`; where people get it is the link *Export* on the task `deliver` (tab *Details*),
which makes a fresh signed URL for whoever may see this DAG's runs. How far it is stands in `exports.progress` and in
the logs.

The original pictures are copied, and only the frames at the edges are encoded, as long as nothing is burned in and the
quality is `original`; the manifest says for each camera how it was cut, and why. A camera without footage is named
there, and the others are exported. Gaps and overlaps are listed in the manifest.

**Danger**: none to footage. An export shows people: whoever may see this DAG's runs may open it, until it expires; who
asked for it and why stands in its manifest. A restore costs money: above `restore_budget_usd` the run fails, and asks
for nothing.

**By hand**: trigger it with the form, or `airflow dags trigger generate_export --conf '{"camera_ids": ["gate"],
"start_time": "2026-01-31T20:00:00Z", "end_time": "2026-01-31T20:05:00Z", "reason": "incident 42", "created_by":
"ann"}'`. Whoever gets the files proves them by `reelkeeper verify-export manifest.json` and the public key.

**Recover**: an export that FAILED says why (task `conclude`, `exports.failure`); its files are gone, and nothing is
held any more. Clear the task `accept` with all that comes after, or trigger it again with the same `export_id`: it
begins anew. While it runs, a task that is tried again, or cleared, goes on: what is cut is not cut again. To stop it
mark the run as failed. `request_refused`: the message names each field. `object_not_found`, `source_corrupted`: no copy
of a segment is as recorded; `verify_replicas` and `reconcile_stores` say more. `budget_exceeded`: a shorter range, more
`exports.work_bytes`, or a larger budget for the restore. `media`: ffmpeg's last words are in the log.
`export_ended`: the run's export has ended, or another run has begun it anew; the task has left nothing behind.
"""

from datetime import UTC, datetime

from airflow.sdk import Param, XComArg, chain, dag

from reelkeeper_airflow.estate import current_estate
from reelkeeper_airflow.failures import TASK_DEFAULTS
from reelkeeper_airflow.operators.export import (
    AcceptExportOperator,
    ComposeExportOperator,
    ConcludeExportOperator,
    CutCameraOperator,
    DeliverExportOperator,
    RestoreForExportOperator,
)
from reelkeeper_airflow.operators.store import placed_at
from reelkeeper_airflow.restore_group import restore_group

ESTATE = current_estate()
STORE = ESTATE.store(ESTATE.placement.exports_in)
TEXT = ["null", "string"]
REQUEST = {
    "camera_ids": Param([], "Cameras, by slug or id, one a line. Required.", type="array", items={"type": "string"}),
    "start_time": Param(None, "Footage from this time on, with a zone. Required.", type=TEXT, format="date-time"),
    "end_time": Param(None, "Footage before this time, which must have passed. Required.", type=TEXT,
                      format="date-time"),
    "reason": Param("", "Why it is needed: it stands in the manifest. Required.", type=TEXT),
    "created_by": Param("", "Who asks for it: it stands in the manifest. Empty: who triggers the run.", type=TEXT),
    "layout": Param("separate", "separate: a file for each camera. mosaic: up to 16 side by side on one clock, with "
                    "the sound of the first. sequence: one after another, in one file.",
                    type="string", enum=["separate", "mosaic", "sequence"]),
    "format": Param("mp4", "mp4, mkv, ts; or zip: one archive with an mp4 for each camera.",
                    type="string", enum=["mp4", "mkv", "ts", "zip"]),
    "quality": Param("original", "original: nothing is encoded that need not be. The others are encoded, and never "
                     "larger than the footage.", type="string", enum=["original", "1080p", "720p", "480p"]),
    "gaps": Param("join", "What becomes of time without footage, in separate files: joined (the manifest lists it), or "
                  "filled with black.", type="string", enum=["join", "black"]),
    "burn_in_time": Param(False, "Burn in the time, in UTC. The footage is encoded then.", type="boolean"),
    "burn_in_camera": Param(False, "Burn in the camera's name. The footage is encoded then.", type="boolean"),
    "watermark": Param(False, "Burn in a watermark, with an id that leads back to this export. The footage is encoded "
                       "then.", type="boolean"),
    "watermark_text": Param("", "What the watermark says. Empty: who asked for it.", type=TEXT, maxLength=120),
    "packaging": Param("none", "hls_dash: also playlists of HLS and DASH, for playback on a page. One picture only: a "
                       "mosaic, a sequence or one camera.", type="string", enum=["none", "hls_dash"]),
    "ladder": Param(False, "With packaging: smaller pictures, too, for slow lines.", type="boolean"),
    "expiry_days": Param(None, "How many days the export lives. Empty: as in estate.toml.", type=["null", "integer"],
                         minimum=1, maximum=ESTATE.exports.max_expiry_days),
    "ip_address": Param(None, "Of the client that asked, where a program asks for somebody.", type=TEXT),
    "user_agent": Param(None, "Of the client that asked, where a program asks for somebody.", type=TEXT),
}  # fmt: skip
PARAMS = REQUEST | {
    "export_id": Param(None, "The export's id, a UUID, where others must know it before. Empty: it follows from the "
                       "run. One that failed is made anew.", type=TEXT),
    "restore_speed": Param(None, "How fast archived footage is restored, and how dear. Empty: as in estate.toml.",
                           type=TEXT, enum=[None, "expedited", "standard", "bulk"]),
    "restore_budget_usd": Param(None, "Most that restoring may cost, in US dollars, by the estimate. Empty: as in "
                                "estate.toml.", type=["null", "number"], minimum=0),
}  # fmt: skip


@dag(
    schedule=None,
    start_date=datetime(2000, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=32,  # those that restore wait for hours
    params=PARAMS,
    render_template_as_native_obj=True,
    default_args=TASK_DEFAULTS,
    doc_md=__doc__,
    tags=["reelkeeper", "exports"],
    owner_links={"reelkeeper": "https://github.com/reelkeeper/reelkeeper"},
)
def generate_export() -> None:
    where = placed_at(STORE, *ESTATE.stores)  # on workers that see the disks where footage is read in place
    accept = AcceptExportOperator(task_id="accept", fields=list(REQUEST))
    restored = restore_group(
        ESTATE,
        cameras=XComArg(accept, key="camera_ids"),
        start_time=XComArg(accept, key="start_time"),
        end_time=XComArg(accept, key="end_time"),
        speed="{{ params.restore_speed }}",
        budget_usd="{{ params.restore_budget_usd }}",
        operator=RestoreForExportOperator,
    )
    cut = CutCameraOperator.partial(task_id="cut", **where).expand(number=accept.output)
    compose = ComposeExportOperator(task_id="compose", **where)
    deliver = DeliverExportOperator(task_id="deliver", **where)
    conclude = ConcludeExportOperator(task_id="conclude").as_teardown()
    chain(accept, restored.group, cut, compose, deliver, conclude)


generate_export()
