"""Our own pages: one look for all, and what a browser may do with them."""

import hashlib
from pathlib import Path

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from reelkeeper.errors import CatalogueUnavailable, ReelkeeperError
from reelkeeper.settings import InvalidEstate, estate_path

STATIC = Path(__file__).with_name("static")
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'self'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_pages = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("pages")), autoescape=True, undefined=StrictUndefined,
    trim_blocks=True, lstrip_blocks=True,
)  # fmt: skip
_VERSION = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(STATIC.iterdir()))).hexdigest()[:12]
"""Of what a page loads: a browser keeps that until it changes."""


def rendered(
    template: str, *, root: str = "", refreshes: bool = False, status: int = 200, **values: object
) -> HTMLResponse:
    """A page. `root` is the way from it to `/reelkeeper/`; one that `refreshes` loads itself again each minute."""
    page = _pages.get_template(template).render(version=_VERSION, root=root, refreshes=refreshes, **values)
    return HTMLResponse(page, status, _HEADERS)


def unavailable(error: ReelkeeperError, *, root: str = "") -> HTMLResponse:
    """The page of 503, which says as much of the error as whoever may see the page may know."""
    sentence = "The estate is not set up as expected: nothing can be said about footage now."
    if isinstance(error, CatalogueUnavailable):
        sentence = "The catalogue does not answer: nothing can be said about footage now."
    return rendered(
        "unavailable.html", root=root, refreshes=True, status=503, sentence=sentence, problems=wrong_settings(error)
    )


def wrong_settings(error: ReelkeeperError) -> tuple[str, ...]:
    """What is wrong with the estate's settings, key by key, if that is the error; of the file only its name."""
    if not isinstance(error, InvalidEstate):
        return ()
    path, told = estate_path(), "\n".join(map(str, error.problems))
    return tuple(told.replace(str(path.absolute()), path.name).replace(str(path), path.name).split("\n"))
