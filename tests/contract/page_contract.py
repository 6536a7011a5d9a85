"""What every page of ours has to be in a real browser; pages are tested as classes of it.

Its module has fixtures `browser` and `url`.
"""

from pathlib import Path
from typing import Literal

import pytest
from chromium import Chromium, Page, chromium_binary
from page_scripts import RUN_AXE, WIDER_THAN_PAGE

Scheme = Literal["light", "dark"]

BINARY = chromium_binary()
AXE = Path(__file__).parents[1] / "end_to_end" / "axe" / "axe.min.js"
SIZES = pytest.mark.parametrize("width", [1200, 400])
SCHEMES = pytest.mark.parametrize("scheme", ["light", "dark"])
IN_A_BROWSER = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.skipif(BINARY is None, reason="no Chromium on this machine"),
]


class PageContract:
    """Quiet, alone, no wider than its window, accessible, and with contents that lead on."""

    @SIZES
    @SCHEMES
    def test_page_is_quiet_loads_nothing_and_never_scrolls_sideways(
        self, browser: Chromium, url: str, width: int, scheme: Scheme
    ) -> None:
        page = Page.opened(browser, url, width, scheme)
        assert page.complaints() == []
        loaded = [address for address in page.requests() if not address.startswith("data:")]
        assert loaded == [url]
        assert page.value_of("document.documentElement.scrollWidth") == width
        assert page.value_of(WIDER_THAN_PAGE) == []

    @SIZES
    @SCHEMES
    def test_axe_finds_no_violation(
        self, browser: Chromium, url: str, width: int, scheme: Scheme
    ) -> None:
        page = Page.opened(browser, url, width, scheme)
        page.value_of(AXE.read_text() + "; 0")
        found = page.value_of(RUN_AXE)
        assert found["passes"] > 10
        assert found["violations"] == []

    def test_contents_lead_to_every_section(self, browser: Chromium, url: str) -> None:
        page = Page.opened(browser, url, 1200)
        targets = page.value_of("[...document.querySelectorAll('nav a')].map(e => e.hash)")
        sections = "[...document.querySelectorAll('section[id]')].map(e => '#' + e.id)"
        assert targets == page.value_of(sections)
