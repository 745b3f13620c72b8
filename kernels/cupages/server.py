"""The app of a page, and running it: on localhost, on a free port, with the browser opened."""

import contextlib
import inspect
import logging
import pathlib
import signal
import socket
import sys
import threading
import time

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from cupages import vendor
from cupages.jobs import Jobs
from cupages.safety import Guard, Refused, tab_of

STATIC = pathlib.Path(__file__).parent / "static"
LOG = logging.getLogger("cupages")
PORTS_TRIED = 20


class PageError(Exception):
    """The page can't be served; the message is one sentence with the remedy."""


def check_vendor():
    """Raises PageError where the browser's libraries are not there."""
    missing = [name for name in vendor.FILES.values() if not (STATIC / "vendor" / name).exists()]
    if missing:
        raise PageError(f"the page needs {missing[0]}, which this copy lacks: run `make pages` in the source tree (it fetches "
                        f"{len(vendor.FILES)} files by npm), or install the wheel, which carries them")


def create_app(folder, routes, mendable=(), hosts=(), jobs=None):
    """A Starlette app. folder: of the page, with index.html; its files are served under /page/, those of all pages under /shared/.

    routes: {"/api/hour": function} or {"POST /api/scenario": function}. A function takes the Request and returns JSON-able
    data, bytes, or a Response; a plain one runs in a thread, an async one in the loop.
    mendable: exceptions of the pipeline whose text is a sentence for the person (status 422). hosts: as `Guard`.
    jobs: a `Jobs`; its routes are /api/jobs/ID and POST /api/jobs/ID/cancel. `app.state.jobs` is it.
    """
    check_vendor()
    folder, jobs, mendable = pathlib.Path(folder), jobs or Jobs(mendable), tuple(mendable)
    ours = {
        "/": lambda request: FileResponse(folder / "index.html"),
        "/favicon.ico": lambda request: FileResponse(icon, media_type="image/svg+xml"),
        "/api/jobs/{id}": lambda request: jobs.of(tab_of(request), request.path_params["id"]).told(),
        "POST /api/jobs/{id}/cancel": lambda request: _cancel(jobs, request),
    }
    icon = folder / "icon.svg" if (folder / "icon.svg").exists() else STATIC / "icon.svg"
    made = [_route(key, function, mendable) for key, function in {**ours, **routes}.items()]
    made += [Mount("/shared", StaticFiles(directory=STATIC)), Mount("/page", StaticFiles(directory=folder))]
    app = Starlette(routes=made, middleware=[Middleware(Guard, hosts=hosts)], exception_handlers={404: _not_found})
    app.state.jobs = jobs
    return app


def serve(app, host="127.0.0.1", port=None, first_port=8600, browser=True, say=print):
    """Serve until interrupted. port None: first_port or the next free one. say: called with the address.

    Raises PageError for a port that was asked for and is taken, and for a host that this machine does not have.
    """
    taken = _socket(host, port, first_port)
    address = _address(host, taken.getsockname()[1])
    server = _uvicorn(app)
    say(f"serving {address} (Ctrl+C ends it)")
    if browser:
        threading.Thread(target=_open_when_up, args=(server, address), daemon=True).start()
    # uvicorn ends at either signal and then passes it on: it shall be an end in good order, with temporary folders removed
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[taken])
    finally:
        app.state.jobs.cancel_all()


@contextlib.contextmanager
def running(app, host="127.0.0.1"):
    """The app served from a thread on a free port while this is entered; gives the address. For tests and pictures."""
    taken, server = _socket(host, 0, 0), _uvicorn(app)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [taken]}, daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    try:
        yield _address(host, taken.getsockname()[1])
    finally:
        app.state.jobs.cancel_all()
        server.should_exit = True
        thread.join(10)


def _uvicorn(app):
    import uvicorn

    return uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off", ws="none", timeout_graceful_shutdown=1,
                                         server_header=False, limit_concurrency=200))


def _route(key, function, mendable):
    method, _, path = key.rpartition(" ")

    async def answer(request):
        try:
            found = await (function(request) if inspect.iscoroutinefunction(function) else run_in_threadpool(function, request))
        except Refused as refused:
            return refused.response()
        except mendable as error:
            return JSONResponse({"error": " ".join(str(error).split())}, 422)
        except Exception:
            LOG.exception("%s failed", path)
            return JSONResponse({"error": "the server could not do this for a reason that is no fault of yours; the terminal shows it"}, 500)
        if isinstance(found, Response):
            return found
        return Response(found, media_type="application/octet-stream") if isinstance(found, bytes) else JSONResponse(found)

    return Route(path, answer, methods=[method or "GET"])


def _cancel(jobs, request):
    job = jobs.of(tab_of(request), request.path_params["id"])
    job.cancel()
    return job.told()


async def _not_found(request, error):
    return JSONResponse({"error": f"there is nothing at {request.url.path[:100]}: open the page itself"}, 404)


def _socket(host, port, first_port):
    tried = [port] if port is not None else [*range(first_port, first_port + PORTS_TRIED), 0]
    for number in tried:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        made = socket.socket(family, socket.SOCK_STREAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            made.bind((host, number))
            made.listen(128)
            return made
        except (OSError, OverflowError) as error:
            made.close()
            failed = error
    if getattr(failed, "errno", None) == 98 or "in use" in str(failed):
        raise PageError(f"port {port} is taken: choose another with --port, or leave it out for a free one")
    raise PageError(f"can't listen on {host}, port {port}: {failed}; leave --host out for this machine alone")


def _address(host, port):
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{name}:{port}"


def _open_when_up(server, address):
    import webbrowser

    while not server.started:
        time.sleep(0.05)
    webbrowser.open(address)
