"""A headless browser for the tests and benchmarks of the pages and for the pictures of the README: Debian's Chromium by Playwright."""

import contextlib
import os
import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--disable-default-apps", "--no-first-run", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]


def path():
    """Of a Chromium on this machine; FileNotFoundError with the remedy where there is none."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        raise FileNotFoundError("no browser on this machine: apt-get install chromium")
    return found


@contextlib.contextmanager
def chromium():
    """A headless Chromium by Playwright, drawing in software; FileNotFoundError with the remedy where there is none."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=path(), args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()
