"""`chipmap serve` and `chipmap report`, on the level of files."""

import pathlib
import threading

from chipmap import InputError
from chipmap.page.runs import read_run

PICTURES = (".png", ".tif", ".tiff", ".jpg", ".jpeg")
LOCAL = ("127.0.0.1", "localhost", "::1")


def serve(things, host, port, browser, say):
    """Serve the page with these pictures, folders of pictures and runs on its shelf, until interrupted."""
    from cupages.server import PageError
    from cupages.server import serve as serve_app

    from chipmap.page.app import make_app, warm_up

    shelf = [path for thing in things for path in _found(pathlib.Path(thing))]
    try:
        app = make_app(shelf, hosts=() if host in LOCAL else None)
        if host not in LOCAL:
            say(f"listening on {host}: everyone who can reach this machine can use the page")
        threading.Thread(target=warm_up, daemon=True).start()
        serve_app(app, host, port, browser=browser, say=say)
    except PageError as error:
        raise InputError(str(error)) from None


def _found(path):
    """Pictures and runs at a path."""
    if not path.exists():
        raise InputError(f"{path}: is not there: check the path")
    if path.is_file() or path.suffix.lower() == ".zarr":
        return [path]
    if (path / "manifest.json").exists():
        read_run(path)
        return [path]
    pictures = sorted(p for p in path.iterdir() if p.suffix.lower() in (*PICTURES, ".zarr"))
    if not pictures:
        raise InputError(f"{path}: holds neither a run (manifest.json) nor a picture ({', '.join(PICTURES)})")
    return pictures


def report(run, out=None):
    """Write the report of a run and return its path, by default report.html in the run's folder."""
    from chipmap.page.report import write_report

    return write_report(run, out or pathlib.Path(run) / "report.html")
