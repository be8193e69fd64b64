"""docs/configuration.md, written from the models: every key and every variable, so that it cannot go stale."""

import json
import textwrap
from collections.abc import Iterator, Mapping
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from reelkeeper.policy.rollout import Percentage
from reelkeeper.settings.estate import Estate
from reelkeeper.settings.problems import section_of

_HEAD = """\
# Configuration

<!-- Written by `reelkeeper estate reference`; a test fails when it is stale. -->

One file describes the estate: the one that `--estate` names, else `$REELKEEPER_ESTATE`, else `estate.toml` in the
current directory. It is checked whole before anything runs, and every error is told at once: the key, its value, what
was expected, and whether it came from the file or from a variable. `reelkeeper estate show` prints what holds in the
end; `reelkeeper doctor` says whether it works.

Secrets are not in it. They live in Airflow connections, or in the environment (see [Credentials](#credentials)).

A percentage goes from 0 to 100: `10` means 10 %, `0.1` means 0.1 %. A ratio goes from 0 to 1: `0.05` means 5 %. A size
is a number of bytes, or a text such as `"512 MiB"` or `"4 GiB"`.

Every key has a variable that overrides it: `REELKEEPER__ROLLOUT__PERCENTAGE=25` for `percentage` in `[rollout]`,
`REELKEEPER__NAME` for `name`, `REELKEEPER__STORES__CLOUD__BUCKET` for `bucket` of the store named `cloud` (in names `-`
becomes `_`), and the same with `REELKEEPER__LANDING_ZONES__`. Arrays are written as in TOML: `["a", "b"]`. A variable
that is empty counts as not set.
"""

_CONTRACT = """\
## Variables that other services set

These keep the meaning that they have in the video services that use them. The file comes first, then they override it,
then the `REELKEEPER__…` variables override both. Two that mean the same and say different things are an error.

| Variable | What it does |
|---|---|
| `STORAGE_MODE` | In any case. `LOCAL`: `mode = "local"`. `MILESTONE`: `mode = "milestone"`. `BOTH`: changes nothing, \
our own rules hold while the VMS records too. `s3`: `mode = "cloud"` and `at_ingest = "rollout"`. `hybrid`: \
`mode = "hybrid"` and `at_ingest = "rollout"`. |
| `ENABLE_CLOUD_STORAGE`, `USE_CLOUD_STORAGE` | `false`: `mode = "local"`, whatever else is set: the way back is one \
variable. `true` changes nothing: the mode says what goes to the cloud. |
| `STORAGE_BACKEND` | `FILESYSTEM`, `MINIO`: `local_store` is the store of that kind. `S3`: it is the store of kind \
s3, and with `mode = "local"` the only one. |
| `CLOUD_STORAGE_PROVIDER` | `s3`, `gcs`, `minio`: `cloud_store` is the store of that kind. |
| `S3_MEDIA_BUCKET`, `AWS_S3_BUCKET_NAME`, `STORAGE_BUCKET` | `bucket` of the store of kind s3. Without such a store \
one named `s3` is added, and is the `cloud_store` unless `CLOUD_STORAGE_PROVIDER` or `STORAGE_BACKEND` says otherwise. |
| `AWS_S3_REGION`, `S3_REGION` | `region` of the store of kind s3. |
| `GCS_BUCKET` | The same for a store of kind gcs, named `gcs` when it is added. |
| `MINIO_BUCKET_RECORDINGS` | `bucket` of the store of kind minio. Without such a store one named `minio` is added, to \
be used by `STORAGE_BACKEND=MINIO` or `CLOUD_STORAGE_PROVIDER=minio`. |
| `MINIO_ENDPOINT`, `MINIO_USE_SSL` | `endpoint_url` of the store of kind minio: `host:port`, https when \
`MINIO_USE_SSL` is true (default false), or a URL. |
| `MINIO_BUCKET_THUMBNAILS` | Another bucket on the same server, as `thumbnail_store`. |
| `S3_SPLIT_PERCENTAGE` | `percentage` in `[rollout]`. |
| `YTDLP_DOWNLOAD_DIR` | `download_directory` in `[ingest]`. |
| `CDN_BASE_URL` | `cdn_base_url` in `[delivery]`. |
| `SIGNED_URL_EXPIRY` | `url_seconds` in `[delivery]`. |
| `LOG_LEVEL` | `log_level`: `DEBUG`, `INFO`, `WARN` or `ERROR`. |

Where several stores are of the kind that a variable speaks of, it means the one that `[placement]` names: for minio the
local store first, for s3 and gcs the cloud store first. When neither is of that kind, that is an error; say it with
`REELKEEPER__STORES__…` then.

Not used: `S3_VIDEO_PREFIX`, because keys come from one place (`media/{tenant}/{camera}/…`) and what is under `temp/` is
deleted after `temp_days`; `MINIO_BUCKET_EXPORTS`, as exports stand under `exports/` of a store.

## Credentials

Credentials come from the Airflow connection that a store or `[catalogue]` names, wherever Airflow keeps it: a variable
`AIRFLOW_CONN_…`, a secrets backend, or Airflow's database. Only when the usual connection of a kind is not defined at
all, these variables stand in for it:

| Connection | Variables |
|---|---|
| `reelkeeper_catalogue` | `POSTGRES_HOST`, `POSTGRES_PORT`, `POSTGRES_DB`, `POSTGRES_USER`, `POSTGRES_PASSWORD` |
| `minio_default` | `MINIO_ENDPOINT`, `MINIO_USE_SSL`, `MINIO_ACCESS_KEY`, `MINIO_SECRET_KEY` |
| `aws_default` | `S3_ACCESS_KEY` and `S3_SECRET_KEY`, or what boto3 finds: `AWS_ACCESS_KEY_ID` and \
`AWS_SECRET_ACCESS_KEY`, a profile, the machine's role; the region also from `S3_REGION`, `AWS_S3_REGION` or \
`AWS_DEFAULT_REGION` |
| `google_cloud_default` | `GCP_KEY_FILE` (a service account's JSON file) and `GCP_PROJECT_ID`, or Google's \
application default credentials |
| `fs_default` | none needed |
| `reelkeeper_signing` | `REELKEEPER_SIGNING_KEY_FILE`: a file that `reelkeeper signing-key create` made |
| `reelkeeper_cloudfront` | `CLOUDFRONT_PRIVATE_KEY_FILE`: a private key of RSA in PEM |
| `reelkeeper_metrics` | `REELKEEPER_METRICS_TOKEN_FILE`: a file with the token by which a Prometheus reads the \
metrics, of at least 16 characters |
"""

_BY_VALIDATOR = {
    "_size": "size",
    "_percent": "percentage",
    "_money": "US dollars",
    "_ratio": "ratio",
    "_bucket": "bucket name",
    "_endpoint": "URL",
    "_web_base": "URL",
    "_timezone": "time zone",
}
_BY_TYPE: dict[Any, str] = {bool: "true or false", int: "whole number", float: "number", str: "text", Path: "path"}


def configuration_reference() -> str:
    """The whole page, in Markdown."""
    parts = [_HEAD, _contents(), "\n## The estate\n\n", _table(Estate, plain_only=True)]
    for name, field in Estate.model_fields.items():
        section = section_of(field)
        if section is not None:
            heading = _heading(name, field)
            parts.append(f"\n## `{heading}`\n\n{_one_line(section.__doc__)}\n\n{_table(section)}")
            for inner, rows in _inner_tables(section):
                parts.append(f"\n### `{inner}` in `{heading}`\n\n{_one_line(rows.__doc__)}\n\n{_table(rows)}")
    return "".join(parts) + "\n" + _CONTRACT


def _contents() -> str:
    """Links to the sections, as GitHub names their anchors."""
    sections = [
        f"[`{_heading(name, field)}`](#{name})"
        for name, field in Estate.model_fields.items()
        if section_of(field) is not None
    ]
    sections += [
        "[Variables that other services set](#variables-that-other-services-set)",
        "[Credentials](#credentials)",
    ]
    text = "Sections: " + ", ".join(["[The estate](#the-estate)", *sections]) + "."
    return "\n" + textwrap.fill(text, 120, break_on_hyphens=False) + "\n"


def _heading(name: str, field: FieldInfo) -> str:
    return f"[[{name}]]" if get_origin(field.annotation) is tuple else f"[{name}]"


def _table(section: type[BaseModel], *, plain_only: bool = False) -> str:
    rows = ["| Key | Type | Default | Meaning |", "|---|---|---|---|"]
    for name, field in section.model_fields.items():
        if plain_only and section_of(field) is not None:
            continue
        cells = (f"`{field.alias or name}`", _type(field), _default(field), _one_line(field.description))
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def _inner_tables(section: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    """The keys of a section whose values are tables."""
    for name, field in section.model_fields.items():
        if (rows := section_of(field)) is not None:
            yield name, rows


def _type(field: FieldInfo) -> str:
    named = [_BY_VALIDATOR.get(getattr(getattr(each, "func", None), "__name__", "")) for each in field.metadata]
    kind = next((name for name in named if name), None) or _type_of(field.annotation)
    bounds = ", ".join(_bounds(field)) if kind in ("whole number", "number") else ""
    pattern = next((each.pattern for each in field.metadata if getattr(each, "pattern", None)), None)
    return kind + (f", {bounds}" if bounds else "") + (f" matching `{pattern}`" if pattern else "")


def _bounds(field: FieldInfo) -> Iterator[str]:
    for each in field.metadata:
        for name, words in (("gt", "more than"), ("ge", "at least"), ("le", "at most")):
            if (bound := getattr(each, name, None)) is not None:
                yield f"{words} {bound}"


def _type_of(annotation: Any) -> str:
    """The words for a plain annotation: of `X | None`, those of X."""
    if annotation in _BY_TYPE:
        return _BY_TYPE[annotation]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "table"
    if origin is tuple:
        if arguments[0] is str:
            return "array of texts"
        is_choice = get_origin(arguments[0]) is Literal
        return f"array of {_type_of(arguments[0])}" if is_choice else f"array of {_type_of(arguments[0])}s"
    if origin is Mapping:
        return "table of tables"
    if origin is Annotated:
        return _of_validator(annotation) or _type_of(arguments[0])
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return " or ".join(f"`{value}`" for value in annotation)
    return _type_of(next(argument for argument in arguments if argument is not type(None)))


def _of_validator(annotation: Any) -> str | None:
    """The words for an annotation that a validator of ours reads."""
    validators = [getattr(getattr(each, "func", None), "__name__", "") for each in annotation.__metadata__]
    return next((_BY_VALIDATOR[name] for name in validators if name in _BY_VALIDATOR), None)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True)
    if default is None or default in ("", {}):
        return ""
    if _type(field) == "size":
        return f'`"{default / 2**30:g} GiB"`'
    return f"`{json.dumps(default, ensure_ascii=False, default=_plain)}`"


def _plain(value: object) -> object:
    """A default that JSON does not know, as it would stand in the file."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_none=True)
    if isinstance(value, Percentage):
        value = Decimal(value.buckets) / 100
    if isinstance(value, Decimal):
        return int(value) if value == int(value) else float(value)
    raise TypeError(f"default {value!r}: expected one that can stand in estate.toml")


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())
