"""A page in Debian's Chromium, without a window, and every address that it asks for."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
"""Where it is, or None."""


@contextmanager
def open_page(url: str, *, width: int = 1200, height: int = 800) -> Iterator[tuple[Any, list[str]]]:
    """Open a page; gives it, and the list of addresses that it has asked for so far."""
    if CHROMIUM is None or find_spec("playwright") is None:
        pytest.skip("needs Debian's chromium and the extra browser")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        # Root has no sandbox of its own, which a container's build runs as.
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            page = browser.new_page(viewport={"width": width, "height": height})
            page.set_default_timeout(600_000)
            asked: list[str] = []
            page.on("request", lambda request: asked.append(request.url))
            page.goto(url)
            yield page, asked
        finally:
            browser.close()
