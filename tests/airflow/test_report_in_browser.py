"""The daily report as a person sees it: in Chromium, under the headers that the API server sends with it."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from reelkeeper.reporting.daily import render
from reelkeeper_airflow.api.app import _NOTHING_BUT_STYLE
from tests.browser import BROWSER, browser
from tests.reporting.test_daily_report import ESTATE, data

pytestmark = [
    pytest.mark.encodes,  # it takes seconds
    pytest.mark.skipif(BROWSER is None, reason="no Chromium here"),
]


@pytest.fixture
def address() -> Iterator[str]:
    """Where a month's report is served."""
    page = render(ESTATE, data()).html.encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path == "/report.html"
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Security-Policy", _NOTHING_BUT_STYLE)
            self.end_headers()
            self.wfile.write(page if found else b"")

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/report.html"
        server.shutdown()


def test_it_shows_all_it_has_in_any_light_and_on_a_phone(address: str, tmp_path: Path) -> None:
    with browser(tmp_path / "profile") as tab:
        seen = {}
        for width, dark in ((1280, False), (1280, True), (360, False)):
            tab.look(width=width, dark=dark)
            tab.open(address)
            seen[width, dark] = tab.evaluate("""(() => {
                const root = document.documentElement, tall = e => e.getBoundingClientRect().height;
                const letters = [...document.querySelectorAll("svg text")].map(tall).filter(height => height > 0);
                const drawn = where => [...document.querySelectorAll(`${where} svg`)].filter(tall).length;
                return {
                    beyond: root.scrollWidth - root.clientWidth, legible: Math.min(...letters) > 10,
                    wide: drawn(".wide"), narrow: drawn(".narrow"),
                    ground: getComputedStyle(document.body).backgroundColor,
                    ink: getComputedStyle(document.querySelector('#tiers text[style*="--rk-ink"]')).fill,
                };
            })()""")
        fits = {"beyond": 0, "legible": True}
        by_day = {"ground": "rgb(255, 255, 255)", "ink": "rgb(31, 35, 40)"}  # the pictures' ink is the page's
        by_night = {"ground": "rgb(13, 17, 23)", "ink": "rgb(230, 237, 243)"}
        assert seen == {
            (1280, False): fits | by_day | {"wide": 6, "narrow": 0},
            (1280, True): fits | by_night | {"wide": 6, "narrow": 0},
            (360, False): fits | by_day | {"wide": 0, "narrow": 6},
        }
        asked = {url for url in tab.requests if not url.endswith("/favicon.ico")}
        assert asked == {address}
        assert not [told for told in tab.complaints if "404" not in told]  # Chromium asks for an icon
