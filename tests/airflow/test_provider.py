"""What Airflow learns of the package: the provider's description and the plugin, each loaded once."""

import json
import os
import subprocess
import sys
from importlib.metadata import entry_points
from importlib.resources import files

import jsonschema

ROOT = __file__.rpartition("/tests/")[0]


def test_provider_info_is_valid_and_found_by_its_entry_point() -> None:
    [entry] = [found for found in entry_points(group="apache_airflow_provider") if found.dist.name == "reelkeeper"]
    info = entry.load()()
    schema = json.loads(files("airflow").joinpath("provider_info.schema.json").read_text())
    jsonschema.validate(info, schema)
    form = json.loads(files("airflow").joinpath("provider.yaml.schema.json").read_text())
    connection_types = form["properties"]["connection-types"]
    jsonschema.validate(info["connection-types"], connection_types)


def test_the_minio_form_is_shown() -> None:
    from airflow.providers_manager import ProvidersManager
    from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime

    hook = ProvidersManagerTaskRuntime().hooks["minio"]
    assert hook is not None
    assert (hook.hook_name, hook.connection_testable) == ("MinIO", True)
    form = {name for name in ProvidersManager().connection_form_widgets if name.startswith("extra__minio__")}
    assert form == {
        f"extra__minio__{name}" for name in ("secure", "region", "session_token", "ca_bundle", "console_url")
    }


_LOOK = """
import json, sys
from airflow import plugins_manager
plugins, listeners = plugins_manager.get_plugin_info(), plugins_manager
from airflow.listeners.listener import get_listener_manager
get_listener_manager()
print(json.dumps({
    "ours": [plugin["name"] for plugin in plugins if plugin["name"] == "reelkeeper"],
    "errors": plugins_manager.get_import_errors(),
    "strays": [name for name in ("s3", "gcs", "store", "migrate", "pools", "hooks") if name in sys.modules],
    "listeners": [module.__name__ for module in get_listener_manager().pm.get_plugins()],
}))
"""


def test_the_plugin_loads_once_and_alone() -> None:
    home = os.environ["AIRFLOW_HOME"]
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", _LOOK], check=True, capture_output=True, text=True,
                          env=os.environ | {"AIRFLOW_HOME": home}, cwd=ROOT)  # fmt: skip
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["ours"] == ["reelkeeper"]
    assert not seen["errors"]
    assert seen["strays"] == []
    assert seen["listeners"].count("reelkeeper_airflow.pools") == 1
