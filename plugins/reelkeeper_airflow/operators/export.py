"""The tasks of an export: accept, cut each camera, compose, deliver; and what ends it in any case."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from airflow.sdk import BaseOperator, Context
from airflow.sdk.bases.skipmixin import SkipMixin

from reelkeeper.errors import RequestRefused
from reelkeeper.wording import duration, size
from reelkeeper_airflow.assets import EXPORTS
from reelkeeper_airflow.estate import current_estate, load_signer, open_catalogue, open_store
from reelkeeper_airflow.lineage import EXPORTED, Objects, Table, TellsLineage
from reelkeeper_airflow.links import EXPORT_KEY, ExportLink, export_address
from reelkeeper_airflow.operators.restore import RestoreOperator, waiting_run
from reelkeeper_airflow.progress import ShareLog

_RUNNING = ("running", "queued", "restarting")
_UNFINISHED = ("failed", "upstream_failed", "running", "up_for_retry", "removed")


class AcceptExportOperator(BaseOperator, SkipMixin):
    """Checks a request, and lets the export begin that it asks for: from then on its footage is held.

    Returns the numbers of its cameras, one for each task that cuts; XComs `export_id`, `camera_ids`, `start_time` and
    `end_time` say the rest. An export that is COMPLETED already is told of, and all that comes after is skipped.
    RequestRefused with all that is wrong; the request is kept then as a FAILED export.

    :param fields: names of the DAG's params that make the request
    """

    inherits_from_skipmixin = True
    operator_extra_links = (ExportLink(),)

    def __init__(self, *, fields: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.fields = fields

    def execute(self, context: Context) -> list[int]:
        from reelkeeper.exporting.job import Asked, accept_export

        estate, run = current_estate(), context["dag_run"]
        identity = export_of(context)
        given = {name: context["params"].get(name) for name in self.fields}
        given["created_by"] = given.get("created_by") or run.triggering_user_name
        asked = Asked(identity, estate.tenant_name, run.run_id, given, run.triggering_user_name)
        context["ti"].xcom_push(EXPORT_KEY, str(identity))
        with open_catalogue() as catalogue:
            export = accept_export(
                estate, catalogue, open_store, asked, now=datetime.now(UTC), is_running=_is_running(context),
                expect_ready=load_signer,  # without a key nothing can be delivered: better known now
            )  # fmt: skip
        if export.status == "COMPLETED":
            self.log.info("export %s was completed at %s: %s", identity, export.completed_at, export_address(identity))
            context["ti"].xcom_push("return_value", [])  # `skip` leaves this method by an exception
            self.skip(context["ti"], self.get_flat_relatives(upstream=False))
        assert export.request is not None  # it was accepted
        span = export.request.time_range
        self.log.info("export %s: %d cameras, %s from %s; its footage is held", identity, len(export.camera_ids),
                      duration(span.duration.total_seconds()), span.start.isoformat())  # fmt: skip
        context["ti"].xcom_push("camera_ids", [str(camera) for camera in export.camera_ids])
        context["ti"].xcom_push("start_time", span.start.isoformat())
        context["ti"].xcom_push("end_time", span.end.isoformat())
        return list(range(len(export.camera_ids)))


class CutCameraOperator(TellsLineage, BaseOperator):
    """Cuts one camera of the run's export, and writes it to the exports store. What is cut is not cut again.

    Returns counts: frames, bytes, and whether it is empty, or was cut before.

    :param number: the camera's, from 0, in the order in which they were asked for
    """

    template_fields: Sequence[str] = ("number",)

    def __init__(self, *, number: int | str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.number = number

    def execute(self, context: Context) -> dict[str, int]:
        from reelkeeper.exporting.job import cut_camera, step, under_way

        identity, number, run_id = export_of(context), int(self.number), context["dag_run"].run_id
        with open_catalogue() as catalogue:
            under_way(catalogue, identity, run_id)  # another run's export may have fewer cameras
            camera = catalogue.exports.cameras(identity)[number].camera
            self.log.info("export %s: cutting camera %s", identity, camera.slug)
            what = f"camera {camera.slug!r} could not be cut"
            with step(catalogue, identity, what, run_id=run_id, now=datetime.now(UTC)):
                done = cut_camera(
                    current_estate(), catalogue, open_store, identity, number, run_id=run_id,
                    now=lambda: datetime.now(UTC), told=ShareLog(self.log, f"camera {camera.slug}"),
                )  # fmt: skip
        made = Objects(_exports(), EXPORTED, objects=1 - (done.state == "empty"), size_bytes=done.size_bytes)
        self.touched(read=[Table("replicas"), Table("segments")], wrote=[made, Table("export_cameras", 1)])
        if done.state == "empty":
            self.log.warning("camera %s has no footage in the range: the export goes on with the others", camera.slug)
        else:
            self.log.info("camera %s%s: %d frames, %s; %s: %s", camera.slug, " was cut before" if done.already else "",
                          done.frames, size(done.size_bytes), done.method, done.why)  # fmt: skip
        return {
            "frames": done.frames, "bytes": done.size_bytes, "empty": int(done.state == "empty"),
            "already": int(done.already),
        }  # fmt: skip


class ComposeExportOperator(TellsLineage, BaseOperator):
    """Makes what the run's export consists of but its manifest: mosaic, sequence or archive, pictures, playback.

    What an earlier try has made is not made again. Returns counts: files, bytes, cameras without footage.
    """

    def execute(self, context: Context) -> dict[str, int]:
        from reelkeeper.exporting.job import compose_export, step

        identity, run_id = export_of(context), context["dag_run"].run_id
        with (
            open_catalogue() as catalogue,
            step(catalogue, identity, "it could not be composed", run_id=run_id, now=datetime.now(UTC)),
        ):
            done = compose_export(
                current_estate(), catalogue, open_store, identity, run_id=run_id, now=lambda: datetime.now(UTC),
                told=ShareLog(self.log, "composing"),
            )  # fmt: skip
        made = Objects(_exports(), EXPORTED, objects=done.files, size_bytes=done.size_bytes)
        self.touched(read=[Table("export_cameras")], wrote=[made])
        if done.empty:
            self.log.warning("cameras without footage in the range: %s", ", ".join(done.empty))
        if done.without_picture:
            self.log.warning("there is no thumbnail: %s", done.without_picture)
        return {"files": done.files, "bytes": done.size_bytes, "empty": len(done.empty)}


class DeliverExportOperator(TellsLineage, BaseOperator):
    """Signs the manifest of the run's export, and completes it. Returns counts: files, bytes.

    The link on the task leads to its files. It is no secret, and signs a URL anew for whoever may open it.
    """

    operator_extra_links = (ExportLink(),)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(outlets=[EXPORTS], **kwargs)

    def execute(self, context: Context) -> dict[str, int]:
        from reelkeeper.exporting.job import deliver_export, step

        identity, run_id = export_of(context), context["dag_run"].run_id
        context["ti"].xcom_push(EXPORT_KEY, str(identity))
        with (
            open_catalogue() as catalogue,
            step(catalogue, identity, "it could not be delivered", run_id=run_id, now=datetime.now(UTC)),
        ):
            done = deliver_export(
                current_estate(), catalogue, open_store, identity, signer=load_signer(),
                link=lambda export: f"{export_address(export)}/download", run_id=run_id, now=datetime.now(UTC),
            )  # fmt: skip
            files = catalogue.exports.files(identity)
        for file in files:
            self.log.info("%s  %s  %s", file.checksum, size(file.size_bytes), file.name)
        self.log.info("export %s is completed, and lasts until %s: %s", identity, done.expires_at.isoformat(),
                      export_address(identity))  # fmt: skip
        counts = {"files": len(files), "bytes": sum(file.size_bytes for file in files)}
        made = Objects(_exports(), EXPORTED, objects=counts["files"], size_bytes=counts["bytes"])
        self.touched(wrote=[made, Table("exports", 1)])
        context["outlet_events"][EXPORTS].extra.update(counts | {"export_id": str(identity)})
        return counts


class RestoreForExportOperator(RestoreOperator):
    """As RestoreOperator; after each look, the export's row says how much of it can be read."""

    def execute(self, context: Context, event: Any = None) -> dict[str, int]:
        from reelkeeper.exporting.job import tell_restoring

        try:
            return super().execute(context, event)
        finally:
            with open_catalogue() as catalogue:
                tell_restoring(catalogue, export_of(context), waiting_run(context), now=datetime.now(UTC))


class ConcludeExportOperator(BaseOperator):
    """Ends the run's export, whatever became of the tasks before: what was not delivered is FAILED, with a reason.

    Then its footage is held no longer, and its objects are removed. Returns whether it was completed.
    """

    operator_extra_links = (ExportLink(),)

    def execute(self, context: Context) -> dict[str, int]:
        from airflow.sdk.observability import stats

        from reelkeeper.exporting.job import fail_export

        identity, now = export_of(context), datetime.now(UTC)
        run_id = context["dag_run"].run_id
        context["ti"].xcom_push(EXPORT_KEY, str(identity))
        with open_catalogue() as catalogue:
            export = catalogue.exports.get(identity)
            if export is not None and export.status != "COMPLETED" and export.run_id == run_id:
                why = f"the run was stopped, or a worker was killed: {_ended_at(context)}"
                fail_export(catalogue, open_store, export, "stopped", why, run_id=run_id, now=now)
                export = catalogue.exports.get(identity)
        if export is None:
            self.log.warning("export %s: nothing of it was kept: see the log of the first task", identity)
            return {"completed": 0}
        self.log.info("export %s is %s%s", identity, export.status, f": {export.failure}" if export.failure else "")
        tags = {"status": export.status}
        stats.incr("reelkeeper.exports", tags=tags)
        stats.timing("reelkeeper.export_duration", (now - export.created_at).total_seconds() * 1000, tags=tags)
        return {"completed": int(export.status == "COMPLETED")}


def _exports() -> str:
    """The store that holds exports."""
    return current_estate().placement.exports_in


def export_of(context: Context) -> UUID:
    """The id of the run's export: param `export_id`, else one that follows from the run. RequestRefused."""
    from reelkeeper.exporting.job import export_id

    given = context["params"].get("export_id")
    if not given:
        return export_id(context["dag_run"].run_id)
    try:
        return UUID(str(given))
    except ValueError as exc:
        raise RequestRefused(f"export_id is {given!r}: expected a UUID, or none") from exc


def _is_running(context: Context) -> Callable[[str], bool]:
    """Whether another run of the DAG still is under way, as far as Airflow knows."""
    ti: Any = context["ti"]

    def is_running(run_id: str) -> bool:
        return bool(ti.get_dr_count(dag_id=ti.dag_id, run_ids=[run_id], states=list(_RUNNING)))

    return is_running


def _ended_at(context: Context) -> str:
    """Which tasks of the run did not come to their end."""
    ti: Any = context["ti"]
    run_id = context["dag_run"].run_id
    states: Mapping[str, Mapping[str, str]] = ti.get_task_states(dag_id=ti.dag_id, run_ids=[run_id])
    told = [f"task {name!r} is {state}" for name, state in sorted(states.get(run_id, {}).items())
            if str(state) in _UNFINISHED and not name.startswith(ti.task_id)]  # fmt: skip
    return ", ".join(told) or "no task of it failed"
