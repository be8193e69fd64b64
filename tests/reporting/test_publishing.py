"""Metrics on their way out: a Pushgateway's protocol on loopback, a file, and what happens when they refuse."""

import stat
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Gauge, parser

from reelkeeper.errors import ConfigurationError, MonitoringUnavailable
from reelkeeper.reporting.metric_samples import Limits
from reelkeeper.reporting.metrics import registry_of
from reelkeeper.reporting.publishing import exposition, publish_by_all, push, try_gateway, write_textfile
from tests.reporting.hand_made import taken

Series = tuple[str, frozenset[tuple[str, str]]]


@dataclass
class Gateway:
    """A server that takes what is put to it as a Pushgateway does, or answers `status` to everything."""

    url: str = ""
    status: int | None = None
    requests: list[tuple[str, str, bytes]] = field(default_factory=list)
    held: dict[Series, float] = field(default_factory=dict)

    def answer(self, path: str, body: bytes) -> int:
        """Put the series of a group into the place of those of before: 200, or 400 when two of them are the same.

        As in the Pushgateway's storage: the labels of the group are set in each series, no matter what it had there.
        """
        if self.status is not None:
            return self.status
        _, _, *labels = path.split("/")
        group = dict(zip(labels[::2], labels[1::2], strict=True)) | {"instance": ""}
        held: dict[Series, float] = {}
        for family in parser.text_string_to_metric_families(body.decode()):
            for sample in family.samples:
                series = sample.name, frozenset((sample.labels | group).items())
                if series in held:
                    return 400  # "was collected before with the same name and label values"
                held[series] = sample.value
        self.held = held
        return 200


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    seen = Gateway()

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.requests.append((self.path, self.headers["Content-Type"], body))
            self.send_response(seen.answer(self.path, body))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_DELETE(self) -> None:
            seen.requests.append((self.path, "", b"DELETE"))
            self.send_response(seen.status or 202)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    seen.url = f"http://127.0.0.1:{server.server_port}"
    yield seen
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def registry() -> CollectorRegistry:
    return registry_of(taken(), Limits())


def test_a_pushgateway_gets_all_of_them_under_the_estates_name(gateway: Gateway, registry: CollectorRegistry) -> None:
    push(registry, gateway.url, estate="north")
    [(path, content_type, body)] = gateway.requests
    assert path == "/metrics/job/reelkeeper/estate/north"
    assert content_type.startswith("text/plain; version=0.0.4")
    assert body == exposition(registry)[0]
    sent = [
        (sample.name, frozenset({**sample.labels, "job": "reelkeeper", "instance": "", "estate": "north"}.items()))
        for family in parser.text_string_to_metric_families(body.decode()) for sample in family.samples
    ]  # fmt: skip
    assert len(set(sent)) == len(sent)
    assert set(gateway.held) == set(sent)


def test_a_pushgateway_refuses_what_its_own_labels_make_the_same(gateway: Gateway) -> None:
    registry = CollectorRegistry()
    queued = Gauge("reelkeeper_queued_items", "Items.", ["job"], registry=registry)
    queued.labels("migrate").set(1)
    push(registry, gateway.url, estate="north")  # one alone is told as somebody else's, and nobody notices
    assert {labels for _, labels in gateway.held} == {
        frozenset({("job", "reelkeeper"), ("estate", "north"), ("instance", "")})
    }
    queued.labels("tier").set(2)
    with pytest.raises(ConfigurationError, match="it answered 400 "):
        push(registry, gateway.url, estate="north")


@pytest.mark.parametrize(("status", "error"), [(503, MonitoringUnavailable), (400, ConfigurationError)])
def test_a_pushgateway_that_refuses(
    gateway: Gateway, registry: CollectorRegistry, status: int, error: type[Exception]
) -> None:
    gateway.status = status
    with pytest.raises(error, match=rf"pushgateway_url is 'http://127.0.0.1:\d+': it answered {status} "):
        push(registry, gateway.url, estate="north")


def test_a_pushgateway_that_is_not_there(registry: CollectorRegistry) -> None:
    with pytest.raises(MonitoringUnavailable, match="did not answer"):
        push(registry, "http://127.0.0.1:9", estate="north")


def test_a_pushgateway_is_tried_without_a_trace(gateway: Gateway) -> None:
    try_gateway(gateway.url, estate="north")
    (put, _, body), (deleted, *_) = gateway.requests
    assert put == deleted == "/metrics/job/reelkeeper_doctor/estate/north"  # what was pushed before is of another job
    assert body == b""
    gateway.status = 405  # as Prometheus itself answers, whose address is easily taken for it
    with pytest.raises(ConfigurationError, match=r"it answered 405 .*: expected a Pushgateway"):
        try_gateway(gateway.url, estate="north")


def test_a_file_is_replaced_whole(tmp_path: Path, registry: CollectorRegistry) -> None:
    path = tmp_path / "reelkeeper.prom"
    path.write_text("half")
    write_textfile(registry, path)
    assert path.read_bytes() == exposition(registry)[0]
    assert list(parser.text_string_to_metric_families(path.read_text()))
    assert [found.name for found in tmp_path.iterdir()] == ["reelkeeper.prom"]
    assert stat.S_IMODE(path.stat().st_mode) & 0o444  # node_exporter is another user


def test_a_file_that_cannot_be(tmp_path: Path, registry: CollectorRegistry) -> None:
    with pytest.raises(ConfigurationError, match=r"expected a folder that this worker may write to"):
        write_textfile(registry, tmp_path / "nowhere" / "reelkeeper.prom")
    (tmp_path / "taken.prom").mkdir()
    with pytest.raises(MonitoringUnavailable, match="could not be written"):
        write_textfile(registry, tmp_path / "taken.prom")
    assert [found.name for found in tmp_path.iterdir()] == ["taken.prom"]


def test_one_way_that_fails_hinders_no_other() -> None:
    gone: list[str] = []

    def failing(error: Exception) -> Callable[[], None]:
        def go() -> None:
            raise error

        return go

    publish_by_all({"a": lambda: gone.append("a")})
    passing, lasting = MonitoringUnavailable("busy"), ConfigurationError("wrong")
    with pytest.raises(MonitoringUnavailable) as raised:
        publish_by_all({"a": failing(lasting), "b": failing(passing), "c": lambda: gone.append("c")})
    assert raised.value is passing  # so that it is tried again
    with pytest.raises(ConfigurationError):
        publish_by_all({"a": failing(lasting), "d": lambda: gone.append("d")})
    assert gone == ["a", "c", "d"]
