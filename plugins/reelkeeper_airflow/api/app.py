"""The application that `reelkeeper_plugin.py` mounts. Only the API server imports it, when it is first asked."""

from urllib.parse import quote

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import requires_access_dag
from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import StreamingResponse

from reelkeeper.errors import InvalidKey, ObjectNotFound, ReelkeeperError
from reelkeeper.model import canonical_key
from reelkeeper_airflow.api.exports import router as exports
from reelkeeper_airflow.api.objects import router as objects
from reelkeeper_airflow.estate import current_estate, open_store

app = FastAPI(title="Reelkeeper", docs_url=None, redoc_url=None, openapi_url=None)
app.include_router(objects)
app.include_router(exports)


@app.get("/reports/{dag_id}/{name:path}", dependencies=[Depends(requires_access_dag("GET", DagAccessEntity.RUN))])
def read_report(dag_id: str, name: str) -> StreamingResponse:
    """A report of a run, for those who may see the DAG's runs. 404 when there is none, 503 when its store fails."""
    try:
        key = canonical_key(f"reports/{dag_id}/{name}")
        store = open_store(current_estate().placement.exports_in)
        size_bytes = store.stat(key).size_bytes
    except (InvalidKey, ObjectNotFound) as exc:
        raise HTTPException(404, f"there is no report {name!r} of {dag_id!r}") from exc
    except ReelkeeperError as exc:
        raise HTTPException(503, f"report {name!r} cannot be read now: {exc.code}") from exc
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(key.removeprefix('reports/').replace('/', '_'))}",
        "Content-Length": str(size_bytes),
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return StreamingResponse(store.read(key), media_type="text/csv; charset=utf-8", headers=headers)
