"""The application that `reelkeeper_plugin.py` mounts. Only the API server imports it, when it is first asked."""

from urllib.parse import quote

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import requires_access_dag
from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import StreamingResponse
from fastapi.staticfiles import StaticFiles

from reelkeeper.errors import InvalidKey, ObjectNotFound, ReelkeeperError
from reelkeeper.model import canonical_key
from reelkeeper.reports import CONTENT_TYPES
from reelkeeper_airflow.api.estate_page import router as estate_page
from reelkeeper_airflow.api.exports import router as exports
from reelkeeper_airflow.api.metrics import router as metrics
from reelkeeper_airflow.api.objects import router as objects
from reelkeeper_airflow.api.rendering import STATIC
from reelkeeper_airflow.estate import current_estate, open_store

_NOTHING_BUT_STYLE = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'"
)
"""What a report's page may do: show what it holds. No script runs, nothing is fetched, nothing is sent."""

app = FastAPI(title="Reelkeeper", docs_url=None, redoc_url=None, openapi_url=None)
app.include_router(objects)
app.include_router(exports)
app.include_router(estate_page)
app.include_router(metrics)
app.mount("/static", StaticFiles(directory=STATIC))  # of the pages: nothing that anybody may not see


@app.get("/reports/{dag_id}/{name:path}", dependencies=[Depends(requires_access_dag("GET", DagAccessEntity.RUN))])
def read_report(dag_id: str, name: str) -> StreamingResponse:
    """A report of a run, for those who may see the DAG's runs: a page is shown, a table saved.

    404 when there is none, 503 when its store fails.
    """
    try:
        key = canonical_key(f"reports/{dag_id}/{name}")
        store = open_store(current_estate().placement.exports_in)
        size_bytes = store.stat(key).size_bytes
        media_type = CONTENT_TYPES[key.rpartition(".")[2]]
    except (InvalidKey, ObjectNotFound, KeyError) as exc:
        raise HTTPException(404, f"there is no report {name!r} of {dag_id!r}") from exc
    except ReelkeeperError as exc:
        raise HTTPException(503, f"report {name!r} cannot be read now: {exc.code}") from exc
    shown = "inline" if media_type.startswith("text/html") else "attachment"
    headers = {
        "Content-Disposition": f"{shown}; filename*=UTF-8''{quote(key.removeprefix('reports/').replace('/', '_'))}",
        "Content-Security-Policy": _NOTHING_BUT_STYLE,
        "Referrer-Policy": "no-referrer",
        "Content-Length": str(size_bytes),
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return StreamingResponse(store.read(key), media_type=media_type, headers=headers)
