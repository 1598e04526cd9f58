"""Chromium, for tests of what people look at."""

import contextlib
import shutil
from collections.abc import Iterator

from playwright.sync_api import Browser, sync_playwright

PROGRAMS = ("chromium-headless-shell", "chromium")


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """The system's, without a window."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    assert program, "needs chromium-headless-shell: make setup"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program,
            args=["--no-sandbox"],  # which root cannot have
        )
        yield browser
        browser.close()
