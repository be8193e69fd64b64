"""Signed URLs that are kept, and links of our own."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelkeeper.errors import AccessDenied
from reelkeeper.model import Key, StoreName
from reelkeeper.stores.own_links import Linked, OwnLinks
from reelkeeper.stores.signing import SignedUrl
from reelkeeper.stores.url_cache import CacheStatistics, Cleared, UrlCache

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
LINKS = OwnLinks("a secret of thirty-two characters", "https://airflow.example.org/reelkeeper/")
DISK = StoreName("disk")


class World:
    """A clock that is set by hand, a cache, and URLs that are counted as they are made."""

    def __init__(self, most_entries: int = 10_000) -> None:
        self.now = NOW
        self.made = 0
        self.cache = UrlCache(lambda: self.now, most_entries)

    def get(self, name: str = "a", life: timedelta | None = timedelta(hours=2), *, force: bool = False) -> SignedUrl:
        def make() -> SignedUrl:
            self.made += 1
            return SignedUrl(f"https://x/{name}?{self.made}", None if life is None else self.now + life)

        return self.cache.get(name, life, make, force_refresh=force)


# --- the cache --------------------------------------------------------------------------------------------------------


def test_a_url_is_made_once_in_an_hour() -> None:
    world = World()
    first = world.get()
    world.now += timedelta(minutes=59, seconds=59)
    assert world.get() == first
    world.now += timedelta(seconds=1)
    assert world.get() != first
    assert world.cache.statistics() == CacheStatistics(entries=1, most_entries=10_000, hits=1, misses=2)
    assert world.cache.statistics().hit_ratio == pytest.approx(1 / 3)


def test_a_url_is_made_anew_a_minute_before_it_expires() -> None:
    world = World()
    first = world.get(life=10 * MINUTE)
    world.now += 9 * MINUTE - timedelta(seconds=1)
    assert world.get(life=10 * MINUTE) == first
    world.now += timedelta(seconds=1)
    assert world.get(life=10 * MINUTE) != first


def test_one_that_lives_for_a_minute_is_not_kept() -> None:
    world = World()
    assert world.get(life=MINUTE) != world.get(life=MINUTE)
    world.get()
    world.get(life=MINUTE)
    assert world.cache.statistics().entries == 0  # nor does an older one stay in its place
    assert world.get(life=None) == world.get(life=None)


def test_another_wish_is_another_url() -> None:
    world = World()
    short = world.get(life=10 * MINUTE)
    assert world.get(life=50 * MINUTE) != short
    assert world.cache.statistics().entries == 1
    fresh = world.get(life=50 * MINUTE, force=True)
    assert world.made == 3
    assert world.get(life=50 * MINUTE) == fresh


def test_it_holds_so_many_and_forgets_those_longest_unused() -> None:
    world = World(most_entries=3)
    for name in "abcad":
        world.get(name)
    assert world.made == 4
    world.get("a")
    assert world.made == 4
    world.get("b")
    assert world.made == 5
    assert world.cache.statistics().entries == 3


def test_expired_ones_are_cleared() -> None:
    world = World()
    world.get("short", 5 * MINUTE)
    world.get("long")
    assert world.cache.clear_expired() == Cleared(removed=0, remaining=2)
    world.now += 5 * MINUTE
    assert world.cache.clear_expired() == Cleared(removed=1, remaining=1)


def test_ten_thousand_fit() -> None:
    world = World()
    for number in range(10_001):
        world.get(str(number))
    assert world.cache.statistics().entries == 10_000


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 7200), st.integers(0, 3600), st.booleans())))
def test_no_url_is_given_out_that_is_about_to_expire(steps: list[tuple[str, int, int, bool]]) -> None:
    world = World(most_entries=2)
    for name, life, wait, force in steps:
        before = world.made
        given_out = world.get(name, timedelta(seconds=life), force=force)
        assert given_out.expires_at is not None
        assert given_out.url.startswith(f"https://x/{name}?")
        assert world.made > before or given_out.expires_at - world.now > MINUTE
        assert given_out.expires_at - world.now <= timedelta(seconds=life)
        world.now += timedelta(seconds=wait)


def test_threads_share_it() -> None:
    world = World(most_entries=50)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: world.get(str(number % 80)), range(4000)))
    assert all(f"/{number % 80}?" in each.url for number, each in enumerate(found))
    statistics = world.cache.statistics()
    assert statistics.hits + statistics.misses == 4000
    assert statistics.entries <= 50


# --- links ------------------------------------------------------------------------------------------------------------


def link(key: str = "exports/1/a b#%é.mp4", filename: str | None = None, life: timedelta = MINUTE) -> SignedUrl:
    return LINKS.make(DISK, Key(key), expires_in=life, filename=filename, now=NOW)


def check(linked: Linked, token: str, now: datetime = NOW) -> None:
    LINKS.check(linked, token, now=now)


def test_a_link_is_good_until_it_expires() -> None:
    made = link(filename='gate "1".mp4')
    assert made.url.startswith("https://airflow.example.org/reelkeeper/objects/disk/exports/1/a%20b%23%25%C3%A9.mp4?")
    query = {name: value for name, [value] in parse_qs(urlsplit(made.url).query).items()}
    assert made.expires_at == NOW + MINUTE
    linked = Linked("GET", DISK, Key("exports/1/a b#%é.mp4"), int(query["expires"]), query["filename"])
    check(linked, query["token"], NOW + timedelta(seconds=59))
    with pytest.raises(AccessDenied, match="expired"):
        check(linked, query["token"], NOW + MINUTE)
    assert made.url not in repr(made)


def test_a_token_has_one_form() -> None:
    """Base64 is decoded with more padding than it needs, and without letters that it does not know."""
    token = parse_qs(urlsplit(link("exports/1/a.mp4").url).query)["token"][0]
    linked = Linked("GET", DISK, Key("exports/1/a.mp4"), int((NOW + MINUTE).timestamp()))
    for other in (f"{token}=", f"{token}==", f"{token}\n", f"{token}!"):
        with pytest.raises(AccessDenied, match="not one that was made here"):
            check(linked, other)


@given(st.data())
def test_a_link_is_good_for_one_thing(data: st.DataObject) -> None:
    token = parse_qs(urlsplit(link("exports/1/a.mp4").url).query)["token"][0]
    parts = (
        data.draw(st.sampled_from(["GET", "PUT"])),
        StoreName(data.draw(st.sampled_from(["disk", "disk2"]))),
        Key(data.draw(st.sampled_from(["exports/1/a.mp4", "exports/1/b.mp4", 'exports/1/a.mp4", 1']))),
        data.draw(st.sampled_from([int((NOW + MINUTE).timestamp()), int((NOW + 2 * MINUTE).timestamp())])),
        data.draw(st.sampled_from([None, "", "a.mp4"])),
    )
    right = ("GET", "disk", "exports/1/a.mp4", int((NOW + MINUTE).timestamp()), None)
    at = data.draw(st.integers(0, len(token)))
    other = token[:at] + data.draw(st.sampled_from(["", "A", "=", "é"])) + token[at + 1 :]
    for linked, given_token in ((Linked(*parts), token), (Linked(*right), other)):  # type: ignore[arg-type]
        if (linked, given_token) == (Linked(*right), token):  # type: ignore[arg-type]
            check(linked, given_token)
        else:
            with pytest.raises(AccessDenied, match="not one that was made here"):
                check(linked, given_token)


def test_another_secret_makes_other_links() -> None:
    other = OwnLinks("another secret of the same length", "https://airflow.example.org/reelkeeper/")
    made = other.make(DISK, Key("a"), expires_in=MINUTE, now=NOW)
    with pytest.raises(AccessDenied):
        check(Linked("GET", DISK, Key("a"), int((NOW + MINUTE).timestamp())), made.url.split("token=")[1])
    with pytest.raises(ValueError, match="at least one second"):
        link(life=timedelta(0))
    assert link(life=timedelta(days=30)).expires_at == NOW + timedelta(days=7)
    with pytest.raises(ValueError, match="less than 16"):
        OwnLinks("short", "")
