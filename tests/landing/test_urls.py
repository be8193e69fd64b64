"""What rows and logs may know of a URL."""

from pathlib import Path

import pytest

from reelkeeper.landing.urls import UrlSource, without_secrets

SECRET = "s3cr3t"


@pytest.mark.parametrize(
    "name",
    ["key", "jwt", "session", "sid", "access_key", "credential", "hmac", "auth_key", "token", "X-Amz-Signature", "sig",
     "password", "st", "whatever"],
)  # fmt: skip
def test_a_parameter_is_no_way_to_a_row(name: str) -> None:
    assert SECRET not in without_secrets(f"https://cams.example/x.mp4?camera=2&{name}={SECRET}&{SECRET}")


def test_users_passwords_and_fragments_go() -> None:
    assert without_secrets(f"https://me:{SECRET}@cams.example:8443/x.mp4#{SECRET}") == "https://cams.example:8443/x.mp4"


def test_what_long_urls_are_known_as_fits_a_row(tmp_path: Path) -> None:
    urls = tmp_path / "urls.txt"
    urls.write_text("".join(f"https://cams.example/{'x' * 3000}{number}.mp4\n" for number in range(2)))
    source = UrlSource("zone", urls)
    paths = [seen.path for seen in source.scan()]
    assert len(set(paths)) == 2
    assert all(len(path) < 300 and source.look(path) for path in paths)


@pytest.mark.parametrize(
    "query", ["v=dQw4w9WgXcQ&list=PL1&index=2", "versionId=3", "camera_id=3&start=2026-03-01T00%3A00%3A00Z"]
)
def test_what_says_which_video_is_meant_stays(query: str) -> None:
    assert without_secrets(f"https://cams.example/watch?{query}") == f"https://cams.example/watch?{query}"


def test_two_videos_stay_two() -> None:
    first, second, again = (without_secrets(f"https://cams.example/get?key={key}") for key in ("a", "b", "a"))
    assert first != second
    assert first == again


def test_a_url_that_is_signed_anew_is_the_same_video() -> None:
    signed = "https://footage.s3.amazonaws.com/x.mp4?X-Amz-Date={0}&X-Amz-Credential=AKIA{0}&X-Amz-Signature={0}"
    assert without_secrets(signed.format(1)) == without_secrets(signed.format(2))
