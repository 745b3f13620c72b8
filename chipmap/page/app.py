"""The routes of `chipmap serve`: a tab opens pictures, asks for steps of the pipeline as jobs, and fetches tiles and answers.

Every tab has its own documents; pictures and runs that the command line named lie on a shelf and are opened once for all.
"""

import contextlib
import ctypes
import os
import pathlib
import secrets
import shutil
import tempfile
import threading

import numpy as np
from cupages.jobs import Cancelled, Tabs
from cupages.safety import Refused, read_json, safe_name, save_upload, tab_of
from cupages.server import create_app
from starlette.responses import FileResponse, Response

from chipmap import InputError, __version__, materials
from chipmap.identify import process_names
from chipmap.page.analysis import MOST_PIXELS, Asked, analyse, renamed, retrained, solved
from chipmap.page.between import between
from chipmap.page.documents import Document
from chipmap.page.export import FILES, export
from chipmap.page.intake import kind_of
from chipmap.page.pictures import Opened, open_picture
from chipmap.page.probe import outline, probe, profile
from chipmap.page.runs import open_run
from chipmap.problems import MORE, NAMES

STATIC = pathlib.Path(__file__).parent / "static"
LARGEST_UPLOAD = 2 << 30        # bytes
MOST_FIELD = 40_000_000         # pixels analysed at once: about 3 GB
MOST_DOCUMENTS = 16             # of a tab
MOST_STROKES, MOST_POINTS = 500, 5000
TYPES = ("image/*", "application/octet-stream")
ASKABLE = ("pixel_size", "phases", "materials", "legend", "process", "thickness", "calibration")


class Desk:
    """What the server holds: the shelf of the command line, and the documents of each tab."""

    def __init__(self, folder, shelf=()):
        self.folder = pathlib.Path(folder)
        self.shelf = {f"{number}": pathlib.Path(path) for number, path in enumerate(shelf)}
        self.tabs = Tabs(dict, drop=lambda documents: [self.forget(d) for d in documents.values()])
        self._opened, self._lock = {}, threading.Lock()

    def document(self, request):
        """The tab's own document of the address. Raises Refused."""
        found = self.tabs.of(tab_of(request)).get(request.path_params["id"])
        if found is None:
            raise Refused(404, "this tab has no such picture open: drop it again")
        return found

    def forget(self, document):
        """Take what a document holds on the disk away."""
        document.forget_exports()
        if document.own:
            shutil.rmtree(document.opened.folder, ignore_errors=True)

    def add(self, tab, opened, analysis=None, own=True):
        """A document of a picture in a tab; own: its folder goes with it."""
        documents = self.tabs.of(tab)
        if len(documents) >= MOST_DOCUMENTS:
            raise Refused(429, f"this tab has {MOST_DOCUMENTS} pictures open: close one of them")
        made = Document(secrets.token_urlsafe(9), opened, analysis, 0 if analysis is None else 1, own)
        documents[made.id] = made
        return made

    def room(self):
        """A new folder for a picture."""
        return pathlib.Path(tempfile.mkdtemp(dir=self.folder))

    def from_shelf(self, number, step):
        """(Opened, Analysis or None) of an item of the shelf, the first time made, afterwards shared."""
        path = self.shelf.get(number)
        if path is None:
            raise Refused(404, "the server has no such picture")
        with self._lock:
            if number not in self._opened:
                if (path / "manifest.json").exists():
                    self._opened[number] = open_run(path, self.room(), step)
                else:
                    with step("decode"):
                        self._opened[number] = open_picture(path, self.room()), None
            return self._opened[number]


def make_app(shelf=(), hosts=(), folder=None):
    """The Starlette app. shelf: paths of pictures and run folders that the page offers. folder: for what is uploaded; by
    default a temporary one, removed when the app is dropped."""
    # threads that wait for their turn by spinning would slow down everything else of this machine, the browser first
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    keep = tempfile.TemporaryDirectory(prefix="chipmap-page-") if folder is None else None
    desk = Desk(folder or keep.name, shelf)
    app = create_app(STATIC, _routes(desk, lambda: app.state.jobs), mendable=(InputError,), hosts=hosts)
    app.state.desk, app.state.folder = desk, keep
    return app


def warm_up():
    """Load what a first analysis needs (compiled loops, libraries), so that the first picture does not wait for it."""
    grey = np.full((96, 96), 60, np.uint8)
    grey[30:60, 20:80] = 180
    grey += np.random.default_rng(0).integers(0, 9, grey.shape, dtype=np.uint8)
    facts = {"bits": 8, "pixel_size_m": [1e-9, 1e-9], "sized": False, "instrument": {}, "pixel_size_source": "", "databar_rows": None, "notes": []}
    analysis = analyse(Opened("warm", pathlib.Path(), [grey], facts), Asked(), None, lambda name: contextlib.nullcontext())
    Document("warm", Opened("warm", pathlib.Path(), [grey], facts), analysis, 1).tile(1, "material-0", 6, 0, 0)


@contextlib.contextmanager
def _running(job, name):
    """A step of the pipeline as a step of a job; cancelling ends it at the next line of Python, not only at its end."""
    me = threading.get_ident()

    def interrupt():
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(me), ctypes.py_object(Cancelled))

    job.say(name)
    with job.stopping(interrupt):
        yield
    job.check()


def _step(job):
    return lambda name: _running(job, name)


def _routes(desk, jobs):
    def start(request, what, work):
        return jobs().start(tab_of(request), what, work).told()

    def changing(document, what, request, change):
        """A job that changes the document by change(analysis, step) -> Analysis."""
        before = document.analysis
        if before is None:
            raise Refused(409, "the picture is not analysed yet: wait for its phases")

        def work(job):
            after = change(before, _step(job))
            if document.analysis is not before:
                raise Refused(409, "another change of this picture came first, so this one was dropped: ask again")
            document.take(after)
            return document.told()

        return start(request, what, work)

    def shelf(request):
        return {"items": [{"id": number, "name": path.name, "run": (path / "manifest.json").exists()} for number, path in desk.shelf.items()],
                "materials": [{"name": m.name, "kind": m.kind} for m in materials.load().values()], "processes": process_names(),
                "physics": [*NAMES, *MORE], "version": __version__, "largest_upload": LARGEST_UPLOAD, "most_pixels": MOST_PIXELS}

    async def upload(request):
        tab = tab_of(request)
        name = safe_name(request.query_params.get("name", ""), "picture")
        room = desk.room()
        try:
            await save_upload(request, room / "upload", TYPES, LARGEST_UPLOAD)
            with open(room / "upload", "rb") as file:
                kind_of(file.read(16))
        except (Refused, InputError):
            shutil.rmtree(room, ignore_errors=True)
            raise

        def work(job):
            try:
                with _running(job, "decode"):
                    opened = open_picture(room / "upload", room, name=name)
            except BaseException:
                shutil.rmtree(room, ignore_errors=True)
                raise
            (room / "upload").unlink()
            return desk.add(tab, opened).told()

        return start(request, f"open {name}", work)

    async def open_item(request):
        tab, asked = tab_of(request), await read_json(request)
        number = str(asked.get("item"))
        if number not in desk.shelf:
            raise Refused(404, "the server has no such picture")
        return start(request, f"open {desk.shelf[number].name}", lambda job: desk.add(tab, *desk.from_shelf(number, _step(job)), own=False).told())

    async def run_analysis(request):
        document, said = desk.document(request), await read_json(request)
        box, asked = _box(said.get("box"), document.opened.shape), Asked(**_fields_of(said))
        before = document.analysis

        def work(job):
            made = analyse(document.opened, asked, box, _step(job))
            if document.analysis is not before:
                raise Refused(409, "another change of this picture came first, so this one was dropped: ask again")
            document.take(made)
            return document.told()

        return start(request, f"analyse {document.opened.name}", work)

    async def say(request):
        document, said = desk.document(request), await read_json(request)
        fields = _fields_of(said)
        return changing(document, "names", request, lambda analysis, step: renamed(analysis, step, **fields))

    async def train(request):
        document, said = desk.document(request), await read_json(request, 20_000_000)
        strokes = _strokes(said.get("strokes"))
        return changing(document, "retrain", request, lambda analysis, step: retrained(analysis, strokes, step))

    async def solve(request):
        document, said = desk.document(request), await read_json(request)
        physics = said.get("physics")
        if physics not in (*NAMES, *MORE):
            raise Refused(422, f"physics {str(physics)[:40]!r} is unknown: use one of {', '.join(NAMES + MORE)}")
        boundaries = _boundaries(said.get("boundaries", {}))
        return changing(document, physics, request, lambda analysis, step: solved(analysis, physics, boundaries, step))

    async def terminals(request):
        document, said = desk.document(request), await read_json(request)
        first, second = (_whole(said.get(key), key) for key in ("first", "second"))
        margin, volts = _whole(said.get("margin", 0), "margin", 4096), _number(said.get("volts", 1e-3), "volts")
        before = document.analysis
        if before is None:
            raise Refused(409, "the picture is not analysed yet: wait for its phases")

        def work(job):
            after, told = between(before, said.get("kind"), first, second, volts, margin, _step(job))
            if document.analysis is not before:
                raise Refused(409, "another change of this picture came first, so this one was dropped: ask again")
            document.take(after)
            return {"document": document.told(), "between": told}

        return start(request, str(said.get("kind")), work)

    def back(request):
        document = desk.document(request)
        if not document.back():
            raise Refused(409, "there is nothing to go back to")
        return document.told()

    def close(request):
        document = desk.document(request)
        del desk.tabs.of(tab_of(request))[document.id]
        desk.forget(document)
        return {}

    def tile(request):
        where = request.path_params
        document = desk.document(request)
        zoom, x, y, version = (where[name] for name in ("z", "x", "y", "version"))
        if not (0 <= zoom <= 6 and 0 <= x < 1 << zoom and 0 <= y < 1 << zoom):
            raise Refused(404, "there is no such tile")
        return Response(document.tile(version, where["layer"], zoom, x, y), media_type="image/png", headers={"cache-control": "private, max-age=3600"})

    def probed(request):
        document = desk.document(request)
        x, y = (_whole(request.query_params.get(name), name) for name in ("x", "y"))
        return probe(document, x, y)

    def profiled(request):
        document, asked = desk.document(request), request.query_params
        ends = [_number(_float(asked.get(name)), name) for name in ("x0", "y0", "x1", "y1")]
        if max(map(abs, ends)) > 1e6:
            raise Refused(422, "the line leads far out of the picture: draw it inside")
        return profile(document, ends[:2], ends[2:], asked.get("field"))

    def outlined(request):
        document = desk.document(request)
        if document.analysis is None:
            raise Refused(409, "the picture is not analysed yet: wait for its phases")
        return {"rings": outline(document.analysis, request.path_params["number"])}

    def objects(request):
        document = desk.document(request)
        if document.analysis is None:
            raise Refused(409, "the picture is not analysed yet: wait for its phases")
        return _table(document.analysis)

    async def exporting(request):
        document, said = desk.document(request), await read_json(request)
        what = said.get("what")
        if what not in FILES:
            raise Refused(422, f"there is no {str(what)[:40]!r} to export: use one of {', '.join(FILES)}")
        analysis = document.analysis
        if analysis is None:
            raise Refused(409, "the picture is not analysed yet: wait for its phases")

        def work(job):
            path = document.exported.get(what)
            if path is None or not path.exists():
                path = document.exported[what] = export(document, analysis, what, desk.room(), _step(job))
            return {"file": path.name, "bytes": path.stat().st_size, "address": f"/api/documents/{document.id}/exported/{what}"}

        return start(request, f"export {what}", work)

    def exported(request):
        path = desk.document(request).exported.get(request.path_params["what"])
        if path is None or not path.exists():
            raise Refused(404, "that export is no more: ask for it again")
        return FileResponse(path, filename=path.name)

    one = "/api/documents/{id}"
    return {
        "/api/shelf": shelf, "POST /api/upload": upload, "POST /api/open": open_item,
        one: lambda request: desk.document(request).told(),
        f"POST {one}/analyse": run_analysis, f"POST {one}/say": say, f"POST {one}/train": train, f"POST {one}/solve": solve,
        f"POST {one}/between": terminals, f"POST {one}/back": back, f"POST {one}/close": close, f"POST {one}/export": exporting, one + "/exported/{what}": exported,
        one + "/probe": probed, one + "/profile": profiled, one + "/outline/{number:int}": outlined, one + "/objects": objects,
        one + "/tiles/{version:int}/{layer}/{z:int}/{x:int}/{y:int}": tile,
    }


def _table(analysis):
    """The largest objects, for the table of the page."""
    table = analysis.objects.table
    shown = np.argsort(-table["pixels"], kind="stable")[:500]
    columns = ("object", "material", "width_nm", "width_sd_nm", "length_nm", "area_nm2", "area_sd_nm2", "x_nm", "y_nm", "touches_border")
    rows = [[table[name][i].item() if hasattr(table[name][i], "item") else table[name][i] for name in columns] for i in shown]
    return {"columns": list(columns), "rows": [[None if isinstance(v, float) and not np.isfinite(v) else v for v in row] for row in rows],
            "nets": analysis.net[shown].tolist(), "count": len(analysis.objects), "unit": "nm" if analysis.sized else "px"}


def _fields_of(said):
    """Fields of `Asked` that a request names, their types checked."""
    found = {}
    for key in ASKABLE:
        if key not in said:
            continue
        value = said[key]
        if key == "calibration":
            if not isinstance(value, dict) or not all(k.isdecimal() and isinstance(v, str) for k, v in value.items()):
                raise Refused(422, "calibration must map numbers of phases to materials")
            value = {int(k): v for k, v in value.items()}
        elif key == "phases":
            value = None if value in (None, "") else _whole(value, "phases", 8)
        elif value is not None and not (isinstance(value, str) and len(value) < 1000):
            raise Refused(422, f"{key} must be a text")
        found[key] = value if value not in ("", None) else ({} if key == "calibration" else None)
    return found


def _box(value, shape):
    if value is None:
        value = 0, shape[0], 0, shape[1]
    try:
        top, bottom, left, right = (int(v) for v in value)
    except (TypeError, ValueError):
        raise Refused(422, "the field must be four whole numbers: top, bottom, left, right") from None
    if not (0 <= top <= bottom - 16 <= shape[0] and bottom <= shape[0] and 0 <= left <= right - 16 <= shape[1] and right <= shape[1]):
        raise Refused(422, f"rows {top} to {bottom}, columns {left} to {right} are not a field of 16 x 16 pixels or more in the picture")
    if (bottom - top) * (right - left) > MOST_FIELD:
        raise Refused(422, f"the field has {(bottom - top) * (right - left) / 1e6:.0f} megapixels; the page analyses up to {MOST_FIELD / 1e6:.0f} at once: "
                      "zoom in and analyse what is in view, or run `chipmap mosaic` on the whole")
    return top, bottom, left, right


def _strokes(value):
    if not isinstance(value, list) or not 0 < len(value) <= MOST_STROKES:
        raise Refused(422, f"draw between 1 and {MOST_STROKES} strokes")
    strokes = []
    for stroke in value:
        try:
            name, points, width = stroke["class"], [(float(x), float(y)) for x, y in stroke["points"]], float(stroke["width"])
        except (KeyError, TypeError, ValueError):
            raise Refused(422, "a stroke needs a class, points and a width") from None
        if not (isinstance(name, str) and 0 < len(name) <= 40 and 0 < len(points) <= MOST_POINTS and 0.5 <= width <= 500 and np.isfinite(points).all()):
            raise Refused(422, f"a stroke needs a name of 1 to 40 letters, 1 to {MOST_POINTS} finite points and a width of 0.5 to 500 pixels")
        strokes.append((name, points, width))
    if len({name for name, _, _ in strokes}) < 2:
        raise Refused(422, "draw strokes of at least two classes: the classifier learns what tells them apart")
    return strokes


def _boundaries(value):
    from chipmap.problems import Boundaries
    allowed = vars(Boundaries())
    if not isinstance(value, dict) or set(value) - set(allowed):
        raise Refused(422, f"boundaries can be {', '.join(allowed)}")
    for key, given in value.items():
        wanted = str if allowed[key] is None else type(allowed[key])
        if not isinstance(given, (int, float) if wanted is float else wanted) or isinstance(given, bool):
            raise Refused(422, f"{key} must be {'a number' if wanted in (int, float) else 'a text'}")
    return value


def _whole(value, name, most=10**9):
    try:
        number = int(value)
        if isinstance(value, bool) or float(value) != number or not 0 <= number <= most:
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise Refused(422, f"{name} must be a whole number from 0 to {most}") from None
    return number


def _float(text):
    try:
        return float(text)
    except (TypeError, ValueError):
        return None


def _number(value, name):
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        raise Refused(422, f"{name} must be a number")
    return float(value)
