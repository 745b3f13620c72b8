"""The routes of the gridmap page."""

import pathlib
import sys
import tempfile
import threading
import time

import numpy as np
from cupages import jobs, safety, server, wire
from cupages.safety import Refused
from starlette.responses import FileResponse, Response

from gridmap import InputError, __version__, flow, geofiles, hours, layers, read, repair, style, supply, tables
from gridmap.page import looks, runs, shapes, told, toml
from gridmap.page.system import System, solve

STATIC = pathlib.Path(__file__).parent / "static"
SAMPLES = (2, 1000)     # of an adequacy study started on the page
SHAPES_OF_A_SET = ("regions", "borders")
POCKETS_TOLD = 200
NEXT = {"read": "repair and place", "repair and place": "units", "units": "drawing years", "tables and layers": "map"}


class Site:
    """What one server shows. earlier: folders of runs (`runs.Earlier`); the first one's system is shown, else the config's."""

    def __init__(self, config, earlier=()):
        self.earlier = list(earlier)
        self.config = runs.config_of(self.earlier[0]) if self.earlier else config
        self.jobs = jobs.Jobs((InputError,))
        self.tabs = jobs.Tabs(dict)
        self.system, self.error, self.step, self.started = None, "", "starting", time.monotonic()
        self._shapes, self._planes, self._lock = {}, {}, threading.Lock()
        self.folder = tempfile.TemporaryDirectory(prefix="gridmap-page-")
        self.adequacy = [e.folder for e in self.earlier if e.command == "gridmap adequacy"]

    def load(self):
        """Read everything; what goes wrong is kept as a sentence for the page."""
        try:
            self._load()
        except InputError as error:
            self.error = " ".join(str(error).split())

    def _load(self):
        self.step = "reading plants, demand, corridors and regions"
        inputs = read.load(self.config)
        for run in self.earlier:
            runs.check_inputs(run, inputs.files)
        self.step = "checking and placing every plant"
        inputs = repair.repair(inputs)
        made = System(self.config, inputs)
        self.step = f"joining regions by {self.config.by} and solving the peak hour"
        view = made.view()
        view.hour(view.peak)
        for run in self.earlier:
            if run.is_year and run.by == view.by:
                self.step = f"reading the hours of {run.folder.name}"
                view.take_year(runs.year_of(run, view.inputs))
        self._take_adequacy(view)
        self.step = "judging the data behind every region"
        view.confidence()
        self._still(view)
        self.step = "drawing shapes"
        for name in ("regions", "borders", "plants", *(() if inputs.lines is None else ("lines",))):
            self.shape(view, name)
        self.system = made
        view.prepare()

    def _take_adequacy(self, view):
        for folder in reversed(self.adequacy):
            found = runs.adequacy_of(folder, view.inputs) if view.adequacy is None else None
            if found is not None:
                view.adequacy, view.adequacy_says = found

    def view(self, by):
        if self.system is None:
            raise Refused(503, self.error or f"not ready yet: {self.step}")
        view = self.system.view(by or None)
        if view.adequacy is None:
            self._take_adequacy(view)
        return view

    def plane(self, view):
        """(Plane, polygons in metres); every region set lies on the plane of the first."""
        with self._lock:
            if view.by not in self._planes:
                plane, areas = shapes.plane_of(view.inputs)
                first = next(iter(self._planes.values()), (plane,))[0]
                self._planes[view.by] = (first, areas)
            return self._planes[view.by]

    def shape(self, view, name):
        """GeoJSON bytes, made once."""
        key = (name, view.by if name in SHAPES_OF_A_SET else "")
        plane, areas = self.plane(view)
        with self._lock:
            if key not in self._shapes:
                self._shapes[key] = {
                    "regions": lambda: shapes.regions(plane, areas),
                    "borders": lambda: shapes.borders(plane, areas, view.inputs.regions["state"]),
                    "plants": lambda: shapes.plants(plane, view.inputs, view.inputs.demand.hours[view.peak], view.basis),
                    "lines": lambda: shapes.lines(plane, view.inputs),
                }[name]()
            return self._shapes[key]

    # What the page asks

    def about(self, request):
        if self.system is None:
            return {"ready": False, "step": self.step, "error": self.error, "seconds": round(time.monotonic() - self.started, 1)}
        demand, base = self.system.base.demand, self.system.base
        title = str(self.earlier[0].folder) if self.earlier else "48 states of the USA" if not self.config.own_files else ", ".join(str(p.name) for p in self.config.own_files.values())
        return {
            "ready": True, "title": title, "version": __version__, "basis": self.system.basis, "sets": self.system.sets, "first": self.system.first,
            "hours": len(demand.hours), "begins": demand.hours[0].strftime("%Y-%m-%dT%H:%MZ"), "peak": demand.row(self.config.hour or demand.peak_hour()),
            "fuels": [{"name": name, "colour": colour} for name, colour in style.FUELS.items()],
            "voltages": looks.told(style.VOLTAGES), "loadings": looks.told(style.LOADINGS), "truncated": base.truncated,
            "technologies": list(tables.fact("technologies")["technology"]), "runs": [str(e.folder) for e in self.earlier],
        }

    def region_set(self, request):
        view = self.view(request.query_params.get("by"))
        return self._still(view) | {"has": {name: looks.values(view, name) is not None for name in ("confidence", "short", "energy", "lole", "eue")},
                                    "solved": view.told is not None, "adequacy": view.adequacy_says}

    def _still(self, view):
        """What never changes of a region set, made once."""
        with view.making:
            if view.still is None:
                view.still = self._describe(view)
            return view.still

    def _describe(self, view):
        plane, areas = self.plane(view)
        regions, ways = view.inputs.regions, view.inputs.corridors
        return told.plain({
            "by": view.by, "ids": list(view.ids), "names": list(regions["name"]), "states": list(regions["state"]), "at": shapes.centres(plane, areas).tolist(),
            "tails": ways["tail"].tolist(), "heads": ways["head"].tolist(), "forward": ways["forward_mw"].round(1).tolist(), "backward": ways["backward_mw"].round(1).tolist(),
            "metrics": looks.metrics(view), "bounds": shapes.bounds(plane, areas), "span_km": plane.span / 1000,
        })

    def shapes(self, request):
        name = request.path_params["name"]
        if name not in (*SHAPES_OF_A_SET, "plants", "lines"):
            raise Refused(404, f"there are no shapes {name[:40]!r}")
        view = self.view(request.query_params.get("by"))
        if name == "lines" and view.inputs.lines is None:
            return Response(b'{"type":"FeatureCollection","features":[]}', media_type="application/geo+json")
        return Response(self.shape(view, name), media_type="application/geo+json")

    def still(self, request):
        """A metric that does not change with the hour: float32 of every region."""
        view = self.view(request.query_params.get("by"))
        found = looks.values(view, request.path_params["name"])
        if found is None:
            raise Refused(404, "that is not known yet for this region set: solve the year, or draw an adequacy study")
        return wire.pack_table({"value": found})

    def curve(self, request):
        view = self.view(request.query_params.get("by"))
        return wire.pack_table({"demand": view.inputs.demand.national().astype(np.float32), "unserved": view.curve}, worst=view.worst().tolist(), solved=view.told is not None)

    def hour(self, request):
        view = self.view(request.query_params.get("by"))
        row = view.row(request.query_params.get("row", str(view.peak)))
        before, changed = view.hour(row), self._changed(request, view)
        if changed is None:
            return _packed(view, row, before, view.inputs)
        return _packed(view, row, self._solved(request, view, row), changed, before)

    def _state(self, request):
        return self.tabs.of(safety.tab_of(request))

    def _changed(self, request, view):
        """The inputs of the tab's scenario over the view's regions, where the page shows one."""
        if request.query_params.get("scenario") != "1":
            return None
        state = self._state(request)
        if "changes" not in state:
            raise Refused(409, "this tab has no scenario any more: apply it again")
        made = state.setdefault("made", {})
        if view.by not in made:
            made[view.by] = view.changed(state["changes"])
        return made[view.by]

    def _solved(self, request, view, row):
        """The hour of the tab's scenario; the last few are kept."""
        kept, key = self._state(request).setdefault("hours", {}), (view.by, row)
        if key not in kept:
            while len(kept) >= 8:
                kept.pop(next(iter(kept)))
            kept[key] = solve(self._changed(request, view), row, view.basis)
        return kept[key]

    def region(self, request):
        view = self.view(request.query_params.get("by"))
        row, r = view.row(request.query_params.get("row", str(view.peak))), view.region(request.query_params.get("id"))
        changed = self._changed(request, view)
        hour = view.hour(row) if changed is None else self._solved(request, view, row)
        return told.region(view, r, row, hour, view.inputs if changed is None else changed)

    def profile(self, request):
        view = self.view(request.query_params.get("by"))
        demand, mw, unserved = view.profile(view.region(request.query_params.get("id")))
        return wire.pack_table({name: a.astype(np.float32) for name, a in (("demand", demand), ("supply", mw), ("unserved", unserved))})

    def rests_on(self, request):
        view = self.view(request.query_params.get("by"))
        r = view.region(request.query_params.get("id"))
        return told.rests_on(view.inputs, view.ids[r])

    def plant(self, request):
        """Units of a plant: what can be retired."""
        plants = self.view(None).inputs.plants
        found = plants[plants["plant_id"].eq(request.query_params.get("id", "")) & (plants["region"] >= 0)]
        if len(found) == 0:
            raise Refused(404, "no plant of this number supplies any region")
        return told.plain([{"unit": p.generator_id, "technology": p.technology, "mw": p.nameplate_mw, "status": p.status, "name": p.plant_name, "file": p.file,
                            "row": int(p.source_row)} for p in found.itertuples()])

    async def change(self, request):
        """A scenario of the tab: {by, row, changes or toml}. Answers what changes in the hour and in the worst hours."""
        from starlette.concurrency import run_in_threadpool

        given = await safety.read_json(request)
        return await run_in_threadpool(self._change, request, given)

    def _change(self, request, given):
        view = self.view(given.get("by"))
        row = view.row(given.get("row", view.peak))
        if "toml" in given:
            changes, text = toml.changes_of(str(given["toml"])), str(given["toml"])
        else:
            changes, text = toml.checked(given.get("changes"))
        after = view.changed(changes)
        rows = np.unique([row, *view.worst()])
        stamps = view.inputs.demand.hours[rows]
        before_mw, after_mw = np.array([view.hour(r).unserved.sum() for r in rows]), hours.unserved(after, stamps, view.basis)
        state = self._state(request)
        old, new = view.hour(row), solve(after, row, view.basis)
        state.update(changes=changes, text=text, made={view.by: after}, hours={(view.by, row): new})
        by = "" if view.by == "county" else f" --by {view.by}"
        change = new.unserved - old.unserved
        largest = np.argsort(-np.abs(change), kind="stable")[:10]
        return told.plain({
            "changes": changes, "toml": text, "command": f"gridmap compare scenario.toml{by} --hours {view.stamp(row)} -o out/scenario", "hour": view.stamp(row),
            "before_mw": old.unserved.sum(), "after_mw": new.unserved.sum(), "pockets_before": int(old.pocket.max(initial=0)), "pockets_after": int(new.pocket.max(initial=0)),
            "worse": int((change > style.NOTHING).sum()), "better": int((change < -style.NOTHING).sum()),
            "regions": [{"id": view.ids[r], "name": told.label(view.inputs, r), "before_mw": old.unserved[r], "after_mw": new.unserved[r]}
                        for r in largest if abs(change[r]) > style.NOTHING],
            "hours": [{"row": int(r), "hour": view.stamp(int(r)), "before_mw": b, "after_mw": a} for r, b, a in
                      zip(rows, before_mw, after_mw)],
            "worst_before": view.stamp(int(rows[before_mw.argmax()])), "worst_after": view.stamp(int(rows[after_mw.argmax()])),
            "says": [f"{line.rule}: {line.plant}, {line.mw:,.1f} MW" for line in after.report[len(view.inputs.report):].itertuples()],
        })

    async def solve_year(self, request):
        view = self.view((await safety.read_json(request)).get("by"))
        return {"job": self.jobs.start(safety.tab_of(request), "the year", lambda job: view.solve_year(job.say) or {"solved": True}).id}

    async def study(self, request):
        """`gridmap adequacy` over a region set: {by, samples}."""
        given = await safety.read_json(request)
        view, samples = self.view(given.get("by")), given.get("samples", 20)
        if type(samples) is not int or not SAMPLES[0] <= samples <= SAMPLES[1]:
            raise InputError(f"{samples!r} samples: draw {SAMPLES[0]} to {SAMPLES[1]:,}")
        return {"job": self.jobs.start(safety.tab_of(request), "the adequacy study", lambda job: self._study(job, view, samples)).id}

    def _study(self, job, view, samples):
        job.say("read")
        folder = pathlib.Path(tempfile.mkdtemp(dir=self.folder.name))
        options = {k: str(pathlib.Path(v).resolve()) if isinstance(v, pathlib.Path) else v for k, v in vars(self.config).items() if v and k not in ("hour", "year", "by", "merge", "also")}
        (folder / "run.toml").write_text(toml.dumps(options))
        jobs.command(job, [sys.executable, "-m", "gridmap", "adequacy", "-o", str(folder / "out"), "--config", str(folder / "run.toml"), "--by", view.by,
                           "--samples", str(samples), "--device", "cpu"], _next_step)
        self.adequacy.append(folder / "out")
        view.adequacy = None
        self._take_adequacy(view)
        return {"by": view.by}

    async def file(self, request):
        """What is on the screen as a file: {by, row, scenario, kind: gpkg or csv}. The job's result names where it is."""
        given = await safety.read_json(request)
        view, kind = self.view(given.get("by")), given.get("kind")
        row = view.row(given.get("row", view.peak))
        if kind not in ("gpkg", "csv"):
            raise InputError(f"{str(kind)[:20]!r} is no kind of file here; choose gpkg or csv")
        inputs = self._state(request).get("made", {}).get(view.by) if given.get("scenario") else view.inputs
        if inputs is None:
            raise Refused(409, "this tab has no scenario any more: apply it again")
        job = self.jobs.start(safety.tab_of(request), "the file", lambda job: self._file(job, view, inputs, row, kind))
        return {"job": job.id}

    def _file(self, job, view, inputs, row, kind):
        job.say("solving the hour with the worth of every corridor")
        found = flow.solve(inputs, supply.balance(inputs, inputs.demand.hours[row], view.basis))
        job.say("layers")
        shown = layers.build(inputs, found)
        job.say("writing the file")
        name = f"gridmap-{view.by}-{view.stamp(row).replace(':', '')}.{kind}"
        folder = pathlib.Path(tempfile.mkdtemp(dir=self.folder.name))
        if kind == "gpkg":
            geofiles.write_geopackage(folder / name, shown)
        else:
            shown["regions"].drop(columns="geometry").to_csv(folder / name, index=False, float_format="%.6f")
        return {"path": f"{folder.name}/{name}", "name": name}

    def fetch(self, request):
        """A file that a job of this tab made."""
        job = self.jobs.of(safety.tab_of(request), request.path_params["id"])
        made = job.result if job.state == "done" and isinstance(job.result, dict) and "path" in job.result else None
        if made is None:
            raise Refused(404, "this computation made no file")
        return FileResponse(pathlib.Path(self.folder.name) / made["path"], filename=made["name"])


def create(config, earlier=(), hosts=(), wait=False):
    """The app; `site.load` runs in a thread, or at once where wait is given. `app.state.site` is the Site."""
    site = Site(config, earlier)
    app = server.create_app(STATIC, {
        "/api/system": site.about, "/api/set": site.region_set, "/api/shapes/{name}": site.shapes, "/api/still/{name}": site.still, "/api/curve": site.curve,
        "/api/hour": site.hour, "/api/region": site.region, "/api/profile": site.profile, "/api/rests-on": site.rests_on, "/api/plant": site.plant,
        "POST /api/scenario": site.change, "POST /api/year": site.solve_year, "POST /api/adequacy": site.study, "POST /api/file": site.file, "/api/file/{id}": site.fetch,
    }, mendable=(InputError,), hosts=hosts, jobs=site.jobs)
    app.state.site = site
    if wait:
        site.load()
    else:
        threading.Thread(target=site.load, daemon=True, name="loading").start()
    return app


def _packed(view, row, hour, inputs, before=None):
    """The bytes of an hour: arrays by region and corridor of the view; corridors that only the scenario has stand in the head."""
    loading, binding, flows, new = _by_corridor(view, inputs, hour)
    arrays = {name: getattr(hour, name).astype(np.float32) for name in ("supply", "demand", "unserved", "spare")}
    arrays |= {"share": (100 * hour.share).astype(np.float32), "pocket": hour.pocket.astype(np.int16), "loading": loading.astype(np.float32),
               "flow": flows.astype(np.float32), "binding": binding.astype(np.int16)}
    if before is not None:
        arrays["before"] = before.unserved.astype(np.float32)
    totals = {name: float(getattr(hour, name).sum()) for name in ("supply", "demand", "isolated", "unserved")}
    return wire.pack_table(arrays, row=row, hour=view.stamp(row), totals=totals, before_mw=None if before is None else float(before.unserved.sum()),
                           pockets=_pockets(view, hour), new=new)


def _by_corridor(view, inputs, hour):
    """loading, binding, flow in the order of the view's corridors, and [tail, head, loading] of those it lacks."""
    base, ways = view.inputs.corridors, inputs.corridors
    if ways is base or (len(ways) == len(base) and ways[["tail", "head", "kind"]].equals(base[["tail", "head", "kind"]])):
        return hour.loading, hour.binding, hour.flow, []
    place = {key: e for e, key in enumerate(zip(base["tail"], base["head"], base["kind"]))}
    out, new = np.zeros((3, len(base))), []
    for e, key in enumerate(zip(ways["tail"], ways["head"], ways["kind"])):
        if key in place:
            out[:, place[key]] = hour.loading[e], hour.binding[e], hour.flow[e]
        else:
            new.append([int(key[0]), int(key[1]), float(hour.loading[e])])
    return *out, new


def _pockets(view, hour):
    """[{rank, at: row of the region with the largest demand, name, regions, mw, share}] of the hour, the largest deficit first."""
    count = int(hour.pocket.max(initial=0))
    if count == 0:
        return []
    mw = np.bincount(hour.pocket, hour.unserved, count + 1)
    demand = np.bincount(hour.pocket, hour.demand, count + 1)
    size = np.bincount(hour.pocket, minlength=count + 1)
    order = np.lexsort((-hour.demand, hour.pocket))
    first = order[np.searchsorted(hour.pocket[order], np.arange(count + 1))]
    return [{"rank": p, "at": int(first[p]), "name": told.label(view.inputs, first[p]), "regions": int(size[p]), "mw": round(float(mw[p]), 2),
             "share": round(float(100 * mw[p] / demand[p]), 2) if demand[p] > 0 else 0.0} for p in range(1, min(count, POCKETS_TOLD) + 1)]


def _next_step(line):
    """`gridmap adequacy` prints a step when it is over: the one that runs then is the next."""
    if " samples," in line:
        return line.strip().rpartition(",")[0]
    done = line.rsplit(None, 2)[0].strip() if line.rstrip().endswith(" s") else ""
    return NEXT.get(done, "tables and layers" if done.startswith("up to ") else None)
