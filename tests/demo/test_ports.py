"""The ports of an estate stay what they were, as far as they can."""

import socket
from pathlib import Path

import pytest

from demo import ports
from demo.ports import kept_ports, moved_ports
from demo.processes import HOST, free_ports
from demo.servers import moto


@pytest.fixture(autouse=True)
def _nothing_moved_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "_moved", {})


def test_they_stay_from_start_to_start(tmp_path: Path) -> None:
    with kept_ports(tmp_path, "one", "two") as first:
        assert len(set(first.values())) == 2
    with kept_ports(tmp_path, "one", "two") as second:
        assert second == first
    with kept_ports(tmp_path, "two", "one", "three") as third:  # a newer version has one more
        assert {name: third[name] for name in first} == first
    assert moved_ports() == {}


def test_one_that_somebody_else_took_is_replaced_and_told(tmp_path: Path) -> None:
    with kept_ports(tmp_path, "one", "two") as first:
        pass
    with socket.create_server((HOST, first["one"])), kept_ports(tmp_path, "one", "two") as second:
        assert second["one"] not in first.values()
        assert second["two"] == first["two"]
    assert moved_ports() == {"one": (first["one"], second["one"])}
    with kept_ports(tmp_path, "one", "two") as third:
        assert third == second


def test_another_copy_of_us_that_holds_it_is_left_alone(tmp_path: Path) -> None:
    with free_ports(1) as [held]:
        (tmp_path / "ports.json").write_text(f'{{"one": {held}}}')
        with kept_ports(tmp_path, "one") as found:
            assert found["one"] != held


def test_what_is_left_of_old_connections_does_not_take_a_port(tmp_path: Path) -> None:
    with (
        kept_ports(tmp_path, "one") as first,
        socket.create_server((HOST, first["one"])) as server,
        socket.create_connection((HOST, first["one"])) as client,
    ):
        server.accept()[0].close()  # who closes first keeps the connection's end for a minute
        assert client.recv(1) == b""
    with kept_ports(tmp_path, "one") as second:
        assert second == first


@pytest.mark.servers
def test_a_server_starts_anew_where_it_was(tmp_path: Path) -> None:
    with moto(tmp_path) as first:
        pass
    with moto(tmp_path) as second:
        assert second.endpoint_url == first.endpoint_url
