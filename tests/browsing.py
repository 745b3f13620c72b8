"""Pages driven by a real browser: Debian's Chromium through Playwright, nothing allowed to leave this machine.

`BROWSER_TESTS=required` (CI) makes what is missing a failure instead of a skip.
"""

import contextlib
import http.client
import json
import os
import pathlib
import time
import urllib.parse

import pytest

from benchmarks import browser

SIZE = {"width": 1280, "height": 800}


def missing(why):
    """Skip, or fail where the browser tests are required."""
    if os.environ.get("BROWSER_TESTS") == "required":
        pytest.fail(f"BROWSER_TESTS=required, but {why}")
    pytest.skip(why)


def need_pages():
    from cupages import server
    try:
        server.check_vendor()
    except server.PageError as error:
        missing(str(error))


@contextlib.contextmanager
def launched():
    """A headless browser; skips with a reason where there is none."""
    need_pages()
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        missing("playwright is not installed: pip install playwright")
    try:
        browser.path()
    except FileNotFoundError as error:
        missing(str(error))
    with browser.chromium() as found:
        yield found


@contextlib.contextmanager
def opened(browser, address, expect=(), **options):
    """A tab at an address. On leaving: no error on its console, no request that left this machine.

    expect: pieces of console errors that the test provokes.
    """
    context = browser.new_context(viewport=SIZE, accept_downloads=True, **options)
    page = context.new_page()
    page.set_default_timeout(60_000)
    errors, left = [], []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: left.append(request.url) if not _stays(request.url) else None)
    try:
        page.goto(address)
        yield page
        assert not [e for e in errors if not any(piece in e for piece in expect)], errors
        assert not left, left
    finally:
        context.close()


def until(page, expression, seconds=60):
    """Wait until a JavaScript expression is true in the page. (Playwright's own waiting needs `eval`, which the pages forbid.)"""
    end = time.monotonic() + seconds
    while not (found := page.evaluate(expression)):
        assert time.monotonic() < end, f"not within {seconds} s: {expression}"
        page.wait_for_timeout(30)
    return found


def _stays(url):
    parts = urllib.parse.urlsplit(url)
    return parts.scheme in ("blob", "data", "file") or parts.hostname in ("127.0.0.1", "localhost")


def ask(address, path, method="GET", body=None, tab="a-tab-of-tests", **headers):
    """(status, JSON or bytes, headers) of one request, sent as it is written, dots and all."""
    host = urllib.parse.urlsplit(address).netloc
    given = {"X-Tab": tab, **{name.replace("_", "-"): value for name, value in headers.items()}}
    if isinstance(body, dict):
        body, given = json.dumps(body).encode(), {"Content-Type": "application/json", **given}
    connection = http.client.HTTPConnection(host, timeout=60)
    try:
        connection.putrequest(method, path, skip_host="Host" in given)
        for name, value in given.items():
            if value is not None:
                connection.putheader(name, value)
        if body is not None and "Content-Length" not in given:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            if body is not None:
                connection.send(body)
        answer = connection.getresponse()
        content = answer.read()
        if answer.headers.get_content_type() == "application/json":
            content = json.loads(content)
        return answer.status, content, answer.headers
    finally:
        connection.close()


def wait_for_job(address, job, **more):
    for _ in range(3000):
        told = ask(address, f"/api/jobs/{job}", **more)[1]
        if told["state"] != "running":
            return told
        time.sleep(0.02)
    raise AssertionError("the job does not end")


def is_sentence(text):
    return isinstance(text, str) and " " in text and "Traceback" not in text and str(pathlib.Path.home()) not in text
