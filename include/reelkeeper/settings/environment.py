"""What environment variables change in the estate's configuration.

Two families: `REELKEEPER__SECTION__KEY` reaches every key, and the variables that existing video services already set
(`STORAGE_MODE`, `MINIO_ENDPOINT`, …) keep the meaning they have there. Order: the file, then those, then ours. A
variable that is set to nothing counts as not set. Credentials are not read here: the hooks do that.
"""

import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from reelkeeper.settings.estate import Estate
from reelkeeper.settings.problems import Location, Origins, Problem, section_of, shown

PREFIX = "REELKEEPER__"
S3_BUCKET = ("S3_MEDIA_BUCKET", "AWS_S3_BUCKET_NAME", "STORAGE_BUCKET")
S3_REGION = ("AWS_S3_REGION", "S3_REGION")
CLOUD_SWITCH = ("ENABLE_CLOUD_STORAGE", "USE_CLOUD_STORAGE")
MODES: Mapping[str, Mapping[str, str]] = {
    "local": {"mode": "local"},
    "milestone": {"mode": "milestone"},
    "both": {},
    "s3": {"mode": "cloud", "at_ingest": "rollout"},
    "hybrid": {"mode": "hybrid", "at_ingest": "rollout"},
}
BACKENDS = {"filesystem": "filesystem", "minio": "minio", "s3": "s3"}
PROVIDERS = {"s3": "s3", "gcs": "gcs", "minio": "minio"}
_SWITCH = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


class Overrides:
    """Applies the environment to the raw document. `problems`: what is wrong; `notes`: what was left alone, and why."""

    def __init__(self, document: dict[str, Any], environ: Mapping[str, str], origins: Origins) -> None:
        self.document = document
        self.environ = {name: value.strip() for name, value in environ.items() if value.strip()}
        self.origins = origins
        self.problems: list[Problem] = []
        self.notes: list[str] = []
        self._pinned: set[Location] = set()

    def apply(self) -> None:
        self._ours()
        added = self._stores()
        self._local_store()
        self._cloud_store(added)
        self._mode()
        for variable, location in (
            ("S3_SPLIT_PERCENTAGE", ("rollout", "percentage")),
            ("YTDLP_DOWNLOAD_DIR", ("ingest", "download_directory")),
            ("CDN_BASE_URL", ("delivery", "cdn_base_url")),
            ("SIGNED_URL_EXPIRY", ("delivery", "url_seconds")),
            ("LOG_LEVEL", ("log_level",)),
        ):
            if value := self.environ.get(variable):
                self._set(location, value, variable)

    # --- REELKEEPER__SECTION__KEY -------------------------------------------------------------------------------------

    def _ours(self) -> None:
        for variable in sorted(self.environ):
            if variable.startswith(PREFIX) and (location := self._location(variable)):
                self._set(location, _value(self.environ[variable]), variable)
                self._pinned.add(location)

    def _location(self, variable: str) -> Location | None:
        section, _, key = variable.removeprefix(PREFIX).lower().partition("__")
        if section in ("stores", "landing_zones"):
            return self._row_location(variable, section, key)
        field = Estate.model_fields.get(section)
        if field is None or bool(key) != bool(section_of(field)):
            self._no_such_key(variable, f"SECTION__KEY with a section of {list(Estate.model_fields)}")
            return None
        return (section, key) if key else (section,)

    def _row_location(self, variable: str, table: str, rest: str) -> Location | None:
        names = [str(row.get("name", "")) for row in self._rows(table)]
        for index, name in enumerate(names):
            prefix = name.lower().replace("-", "_") + "__"
            if rest.startswith(prefix) and len(rest) > len(prefix):
                return (table, index, rest.removeprefix(prefix))
        self._no_such_key(variable, f"{table.upper()}__NAME__KEY with a name of {names}")
        return None

    # --- stores -------------------------------------------------------------------------------------------------------

    def _stores(self) -> list[str]:
        """Let the bucket, region and endpoint variables act on the store of their kind. The kinds that were added."""
        added = []
        self._check_ssl()
        endpoint = minio_endpoint_url(self.environ)
        for kind, bucket, others in (
            ("minio", self._agreed(("MINIO_BUCKET_RECORDINGS",)), {"endpoint_url": endpoint}),
            ("s3", self._agreed(S3_BUCKET), {"region": self._agreed(S3_REGION)}),
            ("gcs", self._agreed(("GCS_BUCKET",)), {}),
        ):
            given = {"bucket": bucket, **others}
            wanted = {key: pair for key, pair in given.items() if pair is not None}
            if not wanted:
                continue
            index = self._store_of_kind(kind, next(iter(wanted.values()))[0])
            if index is None and bucket is not None and not self._has_kind(kind):
                index = self._add_store(kind, {}, bucket[0])
                added.append(kind)
            for key, (variable, value) in wanted.items():
                if index is None:
                    self.notes.append(f"{variable} changes nothing: the estate has no one store of kind {kind!r}")
                else:
                    self._set(("stores", index, key), value, variable)
        self._thumbnails()
        return added

    def _check_ssl(self) -> None:
        flag = self.environ.get("MINIO_USE_SSL")
        if flag is not None and flag.lower() not in _SWITCH:
            self._wrong("MINIO_USE_SSL", "expected true or false")
        scheme, found, _ = self.environ.get("MINIO_ENDPOINT", "").partition("://")
        if flag is not None and found and (scheme == "https") != _SWITCH.get(flag.lower()):
            self._wrong("MINIO_USE_SSL", f"expected what MINIO_ENDPOINT says with {scheme + '://'!r}")

    def _thumbnails(self) -> None:
        """A thumbnail bucket of its own is a second store on the same server."""
        pair = self._agreed(("MINIO_BUCKET_THUMBNAILS",))
        index = self._store_of_kind("minio", pair[0]) if pair else None
        if pair is None or index is None:
            return
        variable, bucket = pair
        store = self._rows("stores")[index]
        if bucket != store.get("bucket"):
            alike: dict[str, Any] = {
                key: store[key] for key in ("connection", "endpoint_url", "region") if key in store
            }
            name = f"{store.get('name')}_thumbnails"
            self._add_store("minio", {**alike, "name": name, "bucket": bucket}, variable)
            self._set(("placement", "thumbnail_store"), name, variable)

    def _add_store(self, kind: str, values: Mapping[str, Any], variable: str) -> int:
        rows = self.document.setdefault("stores", [])
        rows.append({"name": kind, "kind": kind, **values})
        self.origins.variables[("stores", len(rows) - 1)] = variable
        return len(rows) - 1

    def _has_kind(self, kind: str) -> bool:
        return any(row.get("kind") == kind for row in self._rows("stores"))

    def _store_of_kind(self, kind: str, variable: str) -> int | None:
        """The store of this kind that the placement names, or the only one. A problem when it could be either."""
        rows = self._rows("stores")
        indexes = [index for index, row in enumerate(rows) if row.get("kind") == kind]
        roles = ("cloud_store", "local_store") if kind in ("s3", "gcs") else ("local_store", "cloud_store")
        for role in roles:
            for index in indexes:
                if rows[index].get("name") == self._placement().get(role):
                    return index
        if len(indexes) > 1:
            names = [rows[index].get("name") for index in indexes]
            self._wrong(variable, f"expected one store of kind {kind!r} or one in [placement]; there are {names}")
            return None
        return indexes[0] if indexes else None

    # --- placement ----------------------------------------------------------------------------------------------------

    def _local_store(self) -> None:
        """STORAGE_BACKEND: which store, by kind, is the primary one. S3 as such means: the one and only."""
        kind = self._choice("STORAGE_BACKEND", BACKENDS)
        name = self._named_store(kind, "STORAGE_BACKEND")
        if name is None:
            return
        self._set(("placement", "local_store"), name, "STORAGE_BACKEND")
        if kind == "s3":
            self._set(("placement", "mode"), "local", "STORAGE_BACKEND")
            if self._placement().get("cloud_store") == name:
                self._set(("placement", "cloud_store"), None, "STORAGE_BACKEND")

    def _cloud_store(self, added: Sequence[str]) -> None:
        """CLOUD_STORAGE_PROVIDER, or else what was configured by a bucket variable alone."""
        kind, variable = self._choice("CLOUD_STORAGE_PROVIDER", PROVIDERS), "CLOUD_STORAGE_PROVIDER"
        if kind is None:
            found = [each for each in added if each in ("s3", "gcs") and each != self._placement().get("local_store")]
            if len(found) > 1:
                self._wrong("GCS_BUCKET", f"expected CLOUD_STORAGE_PROVIDER too, as there are buckets of {found}")
            if len(found) != 1:
                return
            kind = found[0]
            variable = "GCS_BUCKET" if kind == "gcs" else next(name for name in S3_BUCKET if name in self.environ)
        if (name := self._named_store(kind, variable)) is not None:
            self._set(("placement", "cloud_store"), name, variable)

    def _named_store(self, kind: str | None, variable: str) -> str | None:
        if kind is None:
            return None
        if not self._has_kind(kind):
            self._wrong(variable, f"expected a store of kind {kind!r} in the estate; there is none")
            return None
        index = self._store_of_kind(kind, variable)
        return None if index is None else str(self._rows("stores")[index].get("name"))

    def _mode(self) -> None:
        """STORAGE_MODE in both vocabularies, then the switch. Off wins over all: a roll-back is one variable."""
        name = self.environ.get("STORAGE_MODE")
        if name is not None and name.lower() not in MODES:
            self._wrong("STORAGE_MODE", f"expected one of {list(MODES)}, in any case")
        elif name is not None:
            for key, value in MODES[name.lower()].items():
                self._set(("placement", key), value, "STORAGE_MODE")
        switch = self._switch()
        if switch is None or switch[1] or self._placement().get("mode") == "milestone":
            return
        if self.environ.get("STORAGE_BACKEND", "").lower() == "s3":
            self._wrong(switch[0], "expected true with STORAGE_BACKEND=S3: the cloud is the only store there")
        self._pinned.discard(("placement", "mode"))
        self._set(("placement", "mode"), "local", switch[0])

    def _switch(self) -> tuple[str, bool] | None:
        given = {name: self.environ[name] for name in CLOUD_SWITCH if name in self.environ}
        states = {}
        for name, value in given.items():
            if value.lower() in _SWITCH:
                states[name] = _SWITCH[value.lower()]
            else:
                self._wrong(name, "expected true or false")
        if len(set(states.values())) > 1:
            self._wrong(CLOUD_SWITCH[0], f"expected the same as {CLOUD_SWITCH[1]}={given[CLOUD_SWITCH[1]]!r}")
            return None
        return next(iter(states.items()), None)

    # --- small parts --------------------------------------------------------------------------------------------------

    def _rows(self, table: str) -> list[dict[str, Any]]:
        rows = self.document.get(table, [])
        return rows if isinstance(rows, list) and all(isinstance(row, dict) for row in rows) else []

    def _placement(self) -> Mapping[str, Any]:
        placement = self.document.get("placement", {})
        return placement if isinstance(placement, dict) else {}

    def _agreed(self, variables: Sequence[str]) -> tuple[str, str] | None:
        """The variable of these that is set, and its value. A problem when two are, and differ."""
        given = [(name, self.environ[name]) for name in variables if name in self.environ]
        for name, value in given[1:]:
            if value != given[0][1]:
                self._wrong(name, f"expected the same as {given[0][0]}={given[0][1]!r}: both name one thing")
        return given[0] if given else None

    def _choice(self, variable: str, choices: Mapping[str, str]) -> str | None:
        value = self.environ.get(variable)
        if value is None:
            return None
        if value.lower() not in choices:
            self._wrong(variable, f"expected one of {list(choices)}, in any case")
        return choices.get(value.lower())

    def _set(self, location: Location, value: object, variable: str) -> None:
        if location in self._pinned:
            self.notes.append(f"{variable} changes nothing: {self.origins.variables[location]} says otherwise")
            return
        table: Any = self.document
        for part in location[:-1]:
            table = table.setdefault(part, {}) if isinstance(part, str) else table[part]
            if not isinstance(table, dict | list):
                return  # a section that is no table: the check of the whole says so
        if value is None:
            table.pop(location[-1], None)
        else:
            table[location[-1]] = value
        self.origins.variables[location] = variable

    def _no_such_key(self, variable: str, expected: str) -> None:
        """What is wrong is the variable's name. Its value may be anything, such as a secret."""
        self.problems.append(Problem(variable, f"expected {PREFIX}{expected}", None, "the environment"))

    def _wrong(self, variable: str, expected: str) -> None:
        value = shown((variable,), self.environ.get(variable))
        self.problems.append(Problem(variable, expected, value, "the environment"))


def minio_endpoint_url(environ: Mapping[str, str]) -> tuple[str, str] | None:
    """MINIO_ENDPOINT and the address it means: it is a URL, or `host:port` with MINIO_USE_SSL (default false)."""
    endpoint = environ.get("MINIO_ENDPOINT", "").strip()
    if not endpoint:
        return None
    if "://" in endpoint:
        return "MINIO_ENDPOINT", endpoint
    secure = _SWITCH.get(environ.get("MINIO_USE_SSL", "").strip().lower(), False)
    return "MINIO_ENDPOINT", f"{'https' if secure else 'http'}://{endpoint}"


def _value(text: str) -> object:
    """An array where the text is one in TOML, else the text: the models turn it into numbers and switches."""
    if text.startswith("["):
        try:
            return tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            return text
    return text
