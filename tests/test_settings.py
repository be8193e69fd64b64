"""The estate's configuration: what is accepted, what the environment changes, and how errors are told."""

from collections.abc import Callable
from pathlib import Path

import pytest

from reelkeeper.errors import ConfigurationError
from reelkeeper.model import StoreKind
from reelkeeper.policy.rollout import Percentage
from reelkeeper.settings import Estate, InvalidEstate, load_estate, read_estate

ROOT = Path(__file__).resolve().parent.parent
DISK = """
[[stores]]
name = "disk"
kind = "filesystem"
root = "/srv/footage"
"""
LAKE = """
[[stores]]
name = "lake"
kind = "minio"
bucket = "footage"
"""
AWS = """
[[stores]]
name = "aws"
kind = "s3"
bucket = "footage-aws"
"""
PLACEMENT = """
[placement]
local_store = "disk"
cloud_store = "lake"
"""
WHOLE = DISK + LAKE + PLACEMENT
LOCAL = DISK + '[placement]\nmode = "local"\nlocal_store = "disk"\n'

Load = Callable[..., Estate]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def load(text: str, **environ: str) -> Estate:
        path = tmp_path / "estate.toml"
        path.write_text(text)
        return load_estate(path, environ)

    return load


@pytest.fixture
def problems(load: Load) -> Callable[..., list[str]]:
    def problems(text: str, **environ: str) -> list[str]:
        with pytest.raises(InvalidEstate) as raised:
            load(text, **environ)
        return [str(problem) for problem in raised.value.problems]

    return problems


Problems = Callable[..., list[str]]


# --- what a value may be ----------------------------------------------------------------------------------------------


def test_defaults(load: Load) -> None:
    estate = load(WHOLE)
    assert estate.placement.mode == "hybrid"
    assert estate.rollout.percentage == Percentage(0)
    assert estate.migration.local_retention_days == 30
    assert estate.store("lake").connection == "minio_default"
    assert estate.store("lake").region == "us-east-1"
    assert estate.store("disk").kind is StoreKind.FILESYSTEM
    assert estate.catalogue.db_schema == "reelkeeper"


def test_the_example_is_valid_as_it_stands() -> None:
    loaded = read_estate(ROOT / "estate.toml", {})
    assert loaded.estate.landing_zones
    assert not loaded.overrides


@pytest.mark.parametrize(
    ("written", "buckets"), [("0.1", 10), ("1", 100), ("10", 1000), ("100", 10_000), ("0", 0), ('"25"', 2500)]
)
def test_a_percentage_is_a_percentage(load: Load, written: str, buckets: int) -> None:
    assert load(WHOLE + f"[rollout]\npercentage = {written}\n").rollout.percentage.buckets == buckets


@pytest.mark.parametrize("written", ["-1", "100.5", "0.001", "nan", "inf", "true", '"ten"', "[]"])
def test_what_is_no_percentage_is_refused(problems: Problems, written: str) -> None:
    [problem] = problems(WHOLE + f"[rollout]\npercentage = {written}\n")
    assert problem.startswith("rollout.percentage is ")
    assert "expected a percentage from 0 to 100" in problem


@pytest.mark.parametrize("written", ["5", "-0.1", "nan", "true", '"5 %"'])
def test_what_is_no_ratio_is_refused(problems: Problems, written: str) -> None:
    [problem] = problems(WHOLE + f"[migration]\nmax_failure_ratio = {written}\n")
    assert problem.startswith("migration.max_failure_ratio is ")
    assert "expected a ratio from 0 to 1 (0.05 means 5 %)" in problem


@pytest.mark.parametrize(("written", "size"), [('"4 GiB"', 4 * 2**30), ('"512mib"', 512 * 2**20), ("1000", 1000)])
def test_sizes_have_binary_units(load: Load, written: str, size: int) -> None:
    assert load(WHOLE + f"[ingest]\nbatch_bytes = {written}\n").ingest.batch_bytes == size


ZONE = '[[landing_zones]]\nname = "in"\n'
BAD = [
    # changed text, what the one problem begins with, what it must say
    (DISK.replace("/srv", "srv") + LAKE + PLACEMENT, "stores[0] (store 'disk')", "absolute 'root'"),
    (DISK + 'bucket = "foo"\n' + LAKE + PLACEMENT, "stores[0] (store 'disk')", "has no 'bucket'"),
    (WHOLE.replace('bucket = "footage"', ""), "stores[1] (store 'lake')", "expected a 'bucket'"),
    (WHOLE.replace('"footage"', '"s3://footage"'), "stores[1].bucket (store 'lake') is 's3://footage'", "bare name"),
    (WHOLE.replace('"minio"', '"swift"'), "stores[1].kind (store 'lake') is 'swift'", "'minio', 's3'"),
    (WHOLE.replace('"minio"', '"memory"').replace('bucket = "footage"', ""), "stores[1].kind", "forgets"),
    (WHOLE.replace('name = "lake"', 'name = "Lake"'), "stores[1].name", "expected a text that matches"),
    (WHOLE.replace('name = "lake"', 'name = "2024"'), "stores[1].name", "expected a text that matches ^[a-z]["),
    (WHOLE + ZONE.replace('"in"', '"007"') + "path = '/landing'\n", "landing_zones[0].name", "matches ^[a-z]["),
    (WHOLE + LAKE.replace("lake", "lake2"), "stores[2].bucket (store 'lake2') is 'footage'", "that of store 'lake'"),
    (WHOLE.replace('bucket = "footage"', 'bucket = "footage"\nendpoint_url = "http://NAS:80"')
     + LAKE.replace("lake", "lake2").replace("minio", "s3") + 'endpoint_url = "http://nas/"\n',
     "stores[2].bucket (store 'lake2') is 'footage'", "that of store 'lake'"),
    (WHOLE + DISK.replace('"disk"', '"in"').replace("/footage", ""), "stores[2].root (store 'in')", "apart from"),
    (WHOLE + AWS.replace('"aws"', '"disk"'), "stores[2].name", "stores[0] has it"),
    (WHOLE.replace('local_store = "disk"', 'local_store = "dsk"'), "placement.local_store is 'dsk'", "'lake']"),
    (WHOLE.replace('cloud_store = "lake"', 'cloud_store = "disk"'), "placement.cloud_store", "another store"),
    (DISK + AWS + '[placement]\nlocal_store = "aws"\ncloud_store = "disk"\n', "placement.local_store", "it is 's3'"),
    (DISK + '[placement]\nlocal_store = "disk"\n', "placement.cloud_store", "mode 'hybrid' needs it"),
    (WHOLE + 'thumbnail_store = "thumbs"\n', "placement.thumbnail_store is 'thumbs'", "['disk', 'lake']"),
    (WHOLE + 'mode = "both"\n', "placement.mode is 'both'", "'hybrid'"),
    (WHOLE + "[rollout]\npercent = 3\n", "rollout.percent: unknown key", "expected 'percentage'?"),
    (WHOLE + "[migrations]\n", "migrations", "expected 'migration'?"),
    (WHOLE + "[retention]\ndefault_days = true\n", "retention.default_days is True", "expected a number"),
    (WHOLE + '[catalogue]\nschema = "my schema"\n', "catalogue.schema is 'my schema'", "matches"),
    ("stores = 3\n" + PLACEMENT.replace('"disk"', '""'), "stores is 3", "array"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "begins", "says"), BAD)
def test_an_error_names_key_value_and_what_was_expected(problems: Problems, text: str, begins: str, says: str) -> None:
    found = problems(text)
    assert found[0].startswith(begins), found
    assert says in found[0]
    assert found[0].endswith("estate.toml)")


NOTIFY = '[[alarms.notify]]\nname = "people"\n'
BAD_ALARMS = [
    ("[alarms]\noff = ['camera_mute']\n", "alarms.off[0] is 'camera_mute'", "'camera_silent'"),
    ("[alarms]\nbudget_usd = 0\n", "alarms.budget_usd is 0", "greater than 0"),
    ("[alarms]\ncamera_silent_hours = 720\n", "alarms", "below 'camera_forgotten_days'; got 720 hours and 30 days"),
    ("[alarms]\nwindow_minutes = 30\n", "alarms", "'window_minutes' not above 'watch_minutes'; got 30 and 20"),
    ("[alarms]\nunverified_days = 30\n", "alarms.unverified_days is 30", "verification.cycle_days, which is 30"),
    ("[verification]\ncycle_days = 45\n", "alarms.unverified_days is 45", "verification.cycle_days, which is 45"),
    (NOTIFY, "alarms.notify[0].kind", "missing"),
    (NOTIFY + 'kind = "pigeon"\n', "alarms.notify[0].kind is 'pigeon'", "'smtp'"),
    (NOTIFY + 'kind = "smtp"\n', "alarms.notify[0]", "expected 'to'"),
    (NOTIFY + 'kind = "smtp"\nto = ["Ada <ada@example.org>"]\n', "alarms.notify[0].to[0] is 'Ada <ada@", "expected"),
    (NOTIFY + 'kind = "sns"\n', "alarms.notify[0]", "expected 'topic'"),
    (NOTIFY + 'kind = "sns"\ntopic = "video"\n', "alarms.notify[0].topic is 'video'", "expected"),
    (NOTIFY + 'kind = "slack"\npath = "/x"\n', "alarms.notify[0]", "has no 'path'"),
    (2 * (NOTIFY + 'kind = "slack"\n'), "alarms", "expected another 'name' for each channel"),
]


@pytest.mark.parametrize(("text", "begins", "says"), BAD_ALARMS)
def test_alarms_and_channels_are_checked(problems: Problems, text: str, begins: str, says: str) -> None:
    found = problems(WHOLE + text)
    assert found[0].startswith(begins), found
    assert says in found[0]


def test_verifications_without_an_alarm_may_take_their_time(load: Load) -> None:
    text = "[verification]\ncycle_days = 90\n[alarms]\n"
    assert load(WHOLE + text + "unverified_days = 91\n").verification.cycle_days == 90
    assert load(WHOLE + text + "off = ['verification_overdue']\n").alarms.unverified_days == 45


def test_a_second_of_footage_has_no_more_bytes_at_least_than_at_most(problems: Problems) -> None:
    (found,) = problems(WHOLE + "[quality]\nmin_bytes_per_second = 100\nmax_bytes_per_second = 10\n")
    assert found.startswith("quality: expected 'min_bytes_per_second' below 'max_bytes_per_second'; got 100 and 10 ")


def test_a_channel_has_its_kinds_usual_connection(load: Load) -> None:
    text = "".join(
        f'[[alarms.notify]]\nname = "{kind}"\nkind = "{kind}"\n{more}'
        for kind, more in {
            "smtp": 'to = ["ada@example.org"]\n', "slack": "", "webhook": "",
            "sns": 'topic = "arn:aws:sns:eu-central-1:123456789012:video"\nconnection = "aws_video"\n',
        }.items()
    )  # fmt: skip
    found = {channel.name: channel.connection for channel in load(WHOLE + text).alarms.notify}
    assert found == {
        "smtp": "smtp_default", "slack": "slack_default", "webhook": "http_default", "sns": "aws_video",
    }  # fmt: skip


BAD_ZONES = [
    ('path = "/srv/in"\nurls = "/srv/u"\n', "landing_zones[0] (landing zone 'in')", "exactly one of"),
    ('path = "in"\n', "landing_zones[0]", "absolute 'path'"),
    ('path = "/srv/footage/in"\n', "landing_zones[0].path (landing zone 'in') is '/srv/footage/in'", "apart from"),
    ('path = "/srv"\n', "landing_zones[0].path", "apart from '/srv/footage' of store 'disk'"),
    ('path = "/mnt/nvr"\nhandling = "adopt"\n', "landing_zones[0].path", "{'disk': '/srv/footage'}"),
    ('path = "/srv/footage/media/nvr"\nhandling = "adopt"\n', "landing_zones[0].path", "our own objects"),
    ('store = "lake"\nhandling = "adopt"\nprefix = "in/"\n', "landing_zones[0]", "'path' inside"),
    ('path = "/srv/in"\ntimezone = "Mars/Olympus"\n', "landing_zones[0].timezone", "IANA"),
    ('path = "/srv/in"\ntimezone = "../UTC"\n', "landing_zones[0].timezone", "IANA"),
    ('path = "/srv/in"\npatterns = ["iso", "("]\n', "landing_zones[0].patterns[1]", "does not compile"),
    ('path = "/srv/in"\npatterns = ["(?P<camera>.)"]\n', "landing_zones[0].patterns[0]", "lacks start"),
    ('path = "/srv/in"\npatterns = ["(?P<start>.)"]\n', "landing_zones[0].patterns[0]", "lacks camera"),
    ('path = "/srv/in"\npatterns = "iso"\n', "landing_zones[0].patterns", "expected an array"),
    ('path = "/srv/in"\nextensions = [".MP4"]\n', "landing_zones[0].extensions[0]", "without its dot"),
    ('store = "lake"\n', "landing_zones[0].prefix", "our own objects"),
    ('store = "lake"\nprefix = "media/x/"\n', "landing_zones[0].prefix", "is 'media/x/'"),
    ('store = "like"\nprefix = "in/"\n', "landing_zones[0].store (landing zone 'in') is 'like'", "['disk', 'lake']"),
    ('path = "/srv/in"\nprefix = "in/"\n', "landing_zones[0]", "expected a 'store'"),
]


@pytest.mark.parametrize(("text", "begins", "says"), BAD_ZONES)
def test_a_landing_zone_is_checked_against_the_stores(problems: Problems, text: str, begins: str, says: str) -> None:
    found = problems(WHOLE + ZONE + text)
    assert found[0].startswith(begins), found
    assert says in found[0]


@pytest.mark.parametrize(
    "text",
    [
        'path = "/srv/footage/nvr"\nhandling = "adopt"\n',
        'path = "/srv/in"\npatterns = ["(?P<start>.*)"]\ncamera = "gate"\n',
        'path = "/srv/in"\npatterns = []\ntimezone = "Europe/Berlin"\n',
        'store = "lake"\nprefix = "incoming/"\nhandling = "copy"\n',
        'urls = "/srv/urls.txt"\n',
    ],
)
def test_good_landing_zones(load: Load, text: str) -> None:
    assert load(WHOLE + ZONE + text).zone("in").name == "in"


def test_two_zones_never_take_the_same_files(problems: Problems) -> None:
    second = ZONE.replace('"in"', '"in2"')
    assert "landing zone 'in'" in problems(WHOLE + ZONE + 'path = "/srv/in"\n' + second + 'path = "/srv/in/deep"\n')[0]
    lake = 'store = "lake"\nprefix = "in/'
    assert "landing zone 'in'" in problems(WHOLE + ZONE + lake + '"\n' + second + lake + 'b/"\n')[0]


def test_a_link_does_not_hide_that_a_zone_lies_in_a_store(problems: Problems, tmp_path: Path) -> None:
    (tmp_path / "store/in").mkdir(parents=True)
    (tmp_path / "in").symlink_to(tmp_path / "store/in")
    text = WHOLE.replace("/srv/footage", str(tmp_path / "store")) + ZONE + f'path = "{tmp_path / "in"}"\n'
    assert "landing_zones[0].path" in problems(text)[0]


def test_all_errors_are_told_at_once(problems: Problems) -> None:
    text = WHOLE.replace('"disk"\nc', '"dsk"\nc') + '[rollout]\npercentage = 101\n[retention]\ndefault_days = "x"\n'
    found = problems(text, STORAGE_MODE="sometimes")
    assert [problem.split(" ")[0] for problem in found] == [
        "STORAGE_MODE", "rollout.percentage", "retention.default_days", "placement.local_store",
    ]  # fmt: skip


def test_a_secret_in_the_file_is_refused_and_not_repeated(load: Load) -> None:
    text = WHOLE.replace('bucket = "footage"', 'bucket = "footage"\nsecret_key = "hunter2"')
    text = text.replace('kind = "minio"', 'kind = "minio"\nendpoint_url = "https://me:hunter3@example.org"')
    with pytest.raises(ConfigurationError) as raised:
        load(text, REELKEEPER__STORES__LAKE__PASSWORD="hunter4", REELKEEPER__ACCESS__TOKEN="hunter5")
    assert "secrets belong in the Airflow connection" in str(raised.value)
    assert "hunter" not in str(raised.value)


@pytest.mark.parametrize(
    "text",
    [
        '[login]\nuser = "me"\npassword = "hunter1"\n',
        '[[alarms.notify]]\nname = "chat"\nkind = "slack"\nurl = "https://hooks.example/hunter1"\n',
        '[[delivery]]\nwhatever = "hunter1"\n',
        '[metrics]\npublish = ["pushgateway"]\npushgateway_url = ["https://me:hun/ter1@example.org"]\n',
    ],
)
def test_what_nobody_expected_to_be_a_secret_is_not_repeated_either(problems: Problems, text: str) -> None:
    told = problems(WHOLE + text)
    assert told
    assert "hunter1" not in str(told).replace("hun/ter1", "hunter1")


def test_a_variable_of_an_unknown_name_may_hold_a_secret(problems: Problems) -> None:
    told = problems(WHOLE, REELKEEPER__CHAT__URL="https://hooks.example/hunter1")
    assert "REELKEEPER__CHAT__URL: expected REELKEEPER__SECTION__KEY" in str(told)
    assert "hunter1" not in str(told)


def test_the_file_must_be_there_and_be_toml(tmp_path: Path) -> None:
    with pytest.raises(InvalidEstate, match="REELKEEPER_ESTATE names another place"):
        load_estate(tmp_path / "none.toml", {})
    (tmp_path / "bad.toml").write_text("stores = [\n")
    with pytest.raises(InvalidEstate, match=r"expected TOML in UTF-8; .+"):
        load_estate(tmp_path / "bad.toml", {})


def test_the_path_is_argument_then_variable_then_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b", "estate"):
        (tmp_path / f"{name}.toml").write_text(f'name = "{name}"\n' + WHOLE)
    monkeypatch.chdir(tmp_path)
    environ = {"REELKEEPER_ESTATE": str(tmp_path / "b.toml")}
    assert load_estate(tmp_path / "a.toml", environ).name == "a"
    assert load_estate(None, environ).name == "b"
    assert load_estate(None, {}).name == "estate"


# --- what the environment changes -------------------------------------------------------------------------------------


def test_any_key_can_be_overridden(load: Load) -> None:
    estate = load(
        WHOLE.replace("lake", "cloud-1") + ZONE + 'path = "/srv/in"\n',
        REELKEEPER__ROLLOUT__PERCENTAGE="12.5",
        REELKEEPER__NAME="north",
        REELKEEPER__STORES__CLOUD_1__BUCKET="elsewhere",
        REELKEEPER__STORES__CLOUD_1__CORS_ORIGINS='["https://a.example", "https://b.example"]',
        REELKEEPER__LANDING_ZONES__IN__REGISTER_CAMERAS="false",
        REELKEEPER__CATALOGUE__SCHEMA="footage",
        REELKEEPER__INGEST__BATCH_BYTES="1073741824",
        REELKEEPER__MIGRATION__BATCH_SIZE="",
    )
    assert estate.rollout.percentage == Percentage(1250)
    assert estate.name == "north"
    assert estate.store("cloud-1").bucket == "elsewhere"
    assert len(estate.store("cloud-1").cors_origins) == 2
    assert estate.zone("in").register_cameras is False
    assert estate.catalogue.db_schema == "footage"
    assert estate.ingest.batch_bytes == 2**30
    assert estate.migration.batch_size == 1000


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("REELKEEPER__STORES__LAKE__BUKET", "x1x", "unknown key: expected 'bucket'? (from environment variable REELK"),
        ("REELKEEPER__STORES__POND__BUCKET", "x1x", "a name of ['disk', 'lake']"),
        ("REELKEEPER__ROLLOUT", "3", "expected REELKEEPER__SECTION__KEY"),
        ("REELKEEPER__ROLLUP__PERCENTAGE", "3", "expected REELKEEPER__SECTION__KEY"),
        ("REELKEEPER__ROLLOUT__PERCENTAGE", "3 %", "expected a percentage from 0 to 100"),
    ],
)
def test_a_wrong_override_is_told_with_its_variable(problems: Problems, variable: str, value: str, says: str) -> None:
    [problem] = problems(WHOLE, **{variable: value})
    assert says in problem
    assert variable in problem


@pytest.mark.parametrize(
    ("value", "mode", "at_ingest"),
    [
        ("LOCAL", "local", "local"), ("local", "local", "local"), ("MILESTONE", "milestone", "local"),
        ("BOTH", "hybrid", "local"), ("s3", "cloud", "rollout"), ("S3", "cloud", "rollout"),
        ("hybrid", "hybrid", "rollout"),
    ],
)  # fmt: skip
def test_storage_mode_speaks_both_vocabularies(load: Load, value: str, mode: str, at_ingest: str) -> None:
    placement = load(WHOLE, STORAGE_MODE=value).placement
    assert (placement.mode, placement.at_ingest) == (mode, at_ingest)


@pytest.mark.parametrize("variable", ["ENABLE_CLOUD_STORAGE", "USE_CLOUD_STORAGE"])
def test_switching_the_cloud_off_always_wins(load: Load, variable: str) -> None:
    off: dict[str, str] = {variable: "false"}
    assert load(WHOLE, **off).placement.mode == "local"
    assert load(WHOLE, STORAGE_MODE="s3", REELKEEPER__PLACEMENT__MODE="cloud", **off).placement.mode == "local"
    assert load(WHOLE, STORAGE_MODE="milestone", **off).placement.mode == "milestone"


def test_switching_the_cloud_on_undoes_no_roll_back(load: Load) -> None:
    assert load(LOCAL, USE_CLOUD_STORAGE="true").placement.mode == "local"
    assert load(WHOLE, USE_CLOUD_STORAGE="true").placement.mode == "hybrid"


def test_minio_variables_act_on_the_minio_store(load: Load) -> None:
    store = load(WHOLE, MINIO_ENDPOINT="minio:9000", MINIO_BUCKET_RECORDINGS="rec", MINIO_USE_SSL="false").store("lake")
    assert (store.endpoint_url, store.bucket) == ("http://minio:9000", "rec")
    assert load(WHOLE, MINIO_ENDPOINT="m:9000", MINIO_USE_SSL="TRUE").store("lake").endpoint_url == "https://m:9000"
    assert load(WHOLE, MINIO_ENDPOINT="https://m").store("lake").endpoint_url == "https://m"


def test_storage_backend_chooses_the_primary_store(load: Load) -> None:
    estate = load(LOCAL, STORAGE_BACKEND="MINIO", MINIO_ENDPOINT="m:9000", MINIO_BUCKET_RECORDINGS="rec")
    assert estate.placement.local_store == "minio"
    assert estate.store("minio").bucket == "rec"
    assert load(WHOLE, STORAGE_BACKEND="FILESYSTEM").placement.local_store == "disk"
    only = load(DISK + AWS + PLACEMENT.replace("lake", "aws"), STORAGE_BACKEND="S3", STORAGE_MODE="LOCAL").placement
    assert (only.mode, only.local_store, only.cloud_store) == ("local", "aws", None)


def test_a_bucket_variable_makes_the_cloud_store(load: Load) -> None:
    estate = load(LOCAL, STORAGE_MODE="hybrid", S3_MEDIA_BUCKET="media-x", S3_REGION="eu-west-1",
                  S3_SPLIT_PERCENTAGE="10")  # fmt: skip
    assert estate.placement.cloud_store == "s3"
    assert (estate.store("s3").bucket, estate.store("s3").region) == ("media-x", "eu-west-1")
    assert estate.rollout.percentage == Percentage(1000)
    assert load(LOCAL, STORAGE_MODE="s3", GCS_BUCKET="media-x").placement.cloud_store == "gcs"
    both = load(LOCAL, STORAGE_MODE="s3", GCS_BUCKET="media-x", STORAGE_BUCKET="foo", CLOUD_STORAGE_PROVIDER="gcs")
    assert both.placement.cloud_store == "gcs"


def test_a_bucket_variable_acts_on_the_store_of_its_kind(load: Load) -> None:
    estate = load(DISK + AWS + PLACEMENT.replace("lake", "aws"), AWS_S3_BUCKET_NAME="other", AWS_S3_REGION="eu-west-1")
    assert [store.name for store in estate.stores] == ["disk", "aws"]
    assert (estate.store("aws").bucket, estate.store("aws").region) == ("other", "eu-west-1")


def test_a_bucket_for_thumbnails_is_a_store_on_the_same_server(load: Load) -> None:
    estate = load(WHOLE, MINIO_ENDPOINT="m:9000", MINIO_BUCKET_THUMBNAILS="thumbs")
    assert estate.placement.thumbnail_store == "lake_thumbnails"
    assert estate.store("lake_thumbnails").endpoint_url == "http://m:9000"


def test_downloads_and_logs(load: Load) -> None:
    estate = load(WHOLE, YTDLP_DOWNLOAD_DIR="/var/tmp/videos", LOG_LEVEL="warn")
    assert estate.ingest.download_directory == Path("/var/tmp/videos")
    assert estate.log_level == "WARNING"


@pytest.mark.parametrize(
    ("environ", "variable"),
    [
        ({"S3_MEDIA_BUCKET": "one-1", "STORAGE_BUCKET": "two-2"}, "STORAGE_BUCKET"),
        ({"AWS_S3_REGION": "eu-west-1", "S3_REGION": "us-east-1"}, "S3_REGION"),
        ({"ENABLE_CLOUD_STORAGE": "true", "USE_CLOUD_STORAGE": "false"}, "ENABLE_CLOUD_STORAGE"),
        ({"ENABLE_CLOUD_STORAGE": "maybe"}, "ENABLE_CLOUD_STORAGE"),
        ({"STORAGE_MODE": "sometimes"}, "STORAGE_MODE"),
        ({"STORAGE_BACKEND": "TAPE"}, "STORAGE_BACKEND"),
        ({"STORAGE_BACKEND": "S3"}, "STORAGE_BACKEND"),
        ({"CLOUD_STORAGE_PROVIDER": "azure"}, "CLOUD_STORAGE_PROVIDER"),
        ({"CLOUD_STORAGE_PROVIDER": "gcs"}, "CLOUD_STORAGE_PROVIDER"),
        ({"GCS_BUCKET": "one-1", "STORAGE_BUCKET": "two-2"}, "GCS_BUCKET"),
        ({"STORAGE_BACKEND": "S3", "STORAGE_BUCKET": "two-2", "USE_CLOUD_STORAGE": "false"}, "USE_CLOUD_STORAGE"),
        ({"MINIO_USE_SSL": "perhaps"}, "MINIO_USE_SSL"),
        ({"MINIO_ENDPOINT": "https://m:9000", "MINIO_USE_SSL": "false"}, "MINIO_USE_SSL"),
    ],
)  # fmt: skip
def test_contradictions_between_variables_are_refused(
    problems: Problems, environ: dict[str, str], variable: str
) -> None:
    found = problems(WHOLE, **environ)
    assert found[0].startswith(f"{variable} is "), found
    assert found[0].endswith("(from the environment)")


def test_which_of_two_stores_a_variable_means_must_be_clear(problems: Problems, load: Load) -> None:
    two = DISK + LAKE + LAKE.replace("lake", "pond").replace("footage", "pond-1") + LOCAL.removeprefix(DISK)
    [problem] = problems(two, MINIO_BUCKET_RECORDINGS="rec")
    assert "['lake', 'pond']" in problem
    placed = two.replace('local_store = "disk"', 'local_store = "pond"')
    assert load(placed, MINIO_BUCKET_RECORDINGS="rec").store("pond").bucket == "rec"


def test_where_values_come_from_is_known(tmp_path: Path) -> None:
    (tmp_path / "estate.toml").write_text(WHOLE)
    loaded = read_estate(
        tmp_path / "estate.toml",
        {"STORAGE_MODE": "s3", "REELKEEPER__ROLLOUT__PERCENTAGE": "5", "S3_SPLIT_PERCENTAGE": "7", "S3_REGION": "x"},
    )
    assert loaded.overrides == {
        "placement.mode": "STORAGE_MODE",
        "placement.at_ingest": "STORAGE_MODE",
        "rollout.percentage": "REELKEEPER__ROLLOUT__PERCENTAGE",
    }
    assert loaded.estate.rollout.percentage == Percentage(500)
    assert any("S3_SPLIT_PERCENTAGE changes nothing" in note for note in loaded.notes)
    assert any("S3_REGION changes nothing" in note for note in loaded.notes)


# --- metrics ----------------------------------------------------------------------------------------------------------


def test_metrics_go_where_the_estate_says(load: Load) -> None:
    assert load(WHOLE).metrics.publish == ("prometheus", "airflow")
    given = load(WHOLE, REELKEEPER__METRICS__PUBLISH='["textfile"]', REELKEEPER__METRICS__TEXTFILE="/var/lib/r.prom")
    assert (given.metrics.publish, given.metrics.textfile) == (("textfile",), Path("/var/lib/r.prom"))


@pytest.mark.parametrize(
    ("metrics", "told"),
    [
        ('publish = ["statsd"]', "metrics.publish[0] is 'statsd': expected 'prometheus', 'pushgateway', "),
        ('publish = ["pushgateway"]', "expected 'pushgateway_url' with 'pushgateway' in 'publish'"),
        ('publish = ["textfile"]', "expected 'textfile' with 'textfile' in 'publish'"),
        ('textfile = "r.prom"', "expected an absolute 'textfile' that ends in .prom; got 'r.prom'"),
        ('textfile = "/var/lib/r.txt"', "expected an absolute 'textfile' that ends in .prom; got '/var/lib/r.txt'"),
        ('pushgateway_url = "https://me:word@push"', "expected no user and no password in it"),
        ('cloudwatch_namespace = "AWS/S3"', "expected a 'cloudwatch_namespace' of your own; got 'AWS/S3'"),
        ("cameras = -1", "metrics.cameras is -1"),
    ],
)
def test_wrong_metrics(problems: Callable[..., list[str]], metrics: str, told: str) -> None:
    [problem] = problems(f"{WHOLE}[metrics]\n{metrics}\n")
    assert told in problem


def test_stores_by_the_queue_that_sees_them(load: Load) -> None:
    text = DISK + 'queue = "nvr"\n' + LAKE + AWS + PLACEMENT
    assert load(text).stores_by_queue() == {"nvr": ["disk"], None: ["lake", "aws"]}
