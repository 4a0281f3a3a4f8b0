"""A headless browser, for as long as a block lasts."""

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

from support.comfyui import fetch

OPTIONS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *(
        "--disable-component-update",
        "--disable-sync",
        "--autoplay-policy=no-user-gesture-required",
        "--mute-audio",
    ),
)


@contextmanager
def browser() -> Iterator[Browser]:
    """Chromium; it ends with the block."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=fetch.chromium(), args=list(OPTIONS))
        try:
            yield started
        finally:
            started.close()
