"""Links to files: good for a while, and only as they were made."""

from urllib.parse import parse_qs, urlsplit

import pytest

from packages.core.links import BadLink, LinkExpired, MediaLinks

SECRET = "a-key-for-tests-with-32-characters-or-more"
MEDIA_ID = "0190a1b2-0000-7000-8000-000000000001"


@pytest.fixture
def links() -> MediaLinks:
    return MediaLinks("https://chat.example.com/", SECRET)


def parts(url: str) -> tuple[str, int, str]:
    """Media id, end, signature."""
    split = urlsplit(url)
    query = parse_qs(split.query)
    return split.path.split("/")[2], int(query["until"][0]), query["signature"][0]


def test_a_link_passes(links: MediaLinks) -> None:
    links.check(*parts(links.url(MEDIA_ID, "photo.jpg")))


def test_names_the_file_safely(links: MediaLinks) -> None:
    url = links.url(MEDIA_ID, "a b/ü?.pdf")
    assert url.startswith(f"https://chat.example.com/media/{MEDIA_ID}/a%20b%2F%C3%BC%3F.pdf?until=")


def test_is_over_after_its_time(links: MediaLinks) -> None:
    with pytest.raises(LinkExpired, match="expired"):
        links.check(*parts(links.url(MEDIA_ID, "photo.jpg", seconds=-120)))


@pytest.mark.parametrize("change", ["id", "until", "signature", "empty", "unicode"])
def test_a_changed_link_does_not_pass(links: MediaLinks, change: str) -> None:
    media_id, until, signature = parts(links.url(MEDIA_ID, "photo.jpg"))
    changed = {
        "id": (MEDIA_ID[:-1] + "2", until, signature),
        "until": (media_id, until + 600, signature),
        "signature": (media_id, until, signature[:-1] + ("0" if signature[-1] != "0" else "1")),
        "empty": (media_id, until, ""),
        "unicode": (media_id, until, "ü"),
    }[change]
    with pytest.raises(BadLink):
        links.check(*changed)


def test_another_installations_link_does_not_pass(links: MediaLinks) -> None:
    with pytest.raises(BadLink):
        MediaLinks("https://chat.example.com", SECRET + "!").check(*parts(links.url(MEDIA_ID, "photo.jpg")))


def test_stays_the_same_for_a_while_so_that_browsers_can_keep_the_file(links: MediaLinks) -> None:
    until = {parts(links.url(MEDIA_ID, "photo.jpg"))[1] for _ in range(20)}
    assert all(end % 60 == 0 for end in until)
