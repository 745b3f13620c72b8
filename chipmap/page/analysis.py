"""One field of a picture on its way through the pipeline, with every stage kept, so that a correction repeats only what
depends on it: strokes the phases, a legend the names, terminals one solve.

An `Analysis` never changes: each correction returns a new one that shares what is still true. So two people can start from
one and go different ways.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from chipmap import InputError, chip, materials
from chipmap.classify import load, train
from chipmap.identify import Identification, identify, load_process
from chipmap.measure.kinds import kinds_of
from chipmap.naming import name_by_object, onto
from chipmap.nets import find_nets
from chipmap.objects import Objects, find_objects
from chipmap.physics import conductivity
from chipmap.pipeline import laid_xray
from chipmap.prepare import Prepared, prepare
from chipmap.problems import Boundaries, parse_length, solve_all
from chipmap.properties import Library, Sample
from chipmap.read import parse_pixel_size
from chipmap.scribbles import draw
from chipmap.segment import Phases, segment
from chipmap.training import is_material

MOST_PIXELS = 4096 * 4096       # of a field that is analysed whole without being asked for


@dataclass(frozen=True)
class Asked:
    """What the user has said, as on the command line; calibration: {phase: material} of clicks, instead of `legend`."""

    pixel_size: str | None = None
    phases: int | None = None
    materials: str | None = None
    legend: str | None = None
    process: str | None = None
    thickness: str | None = None
    settings: tuple = ()
    calibration: dict = field(default_factory=dict)

    @property
    def names(self):
        """The legend as `identify` takes it."""
        return self.legend or self.calibration or None


@dataclass(frozen=True)
class Analysis:
    """box: (top, bottom, left, right) of the field in the picture. found: the phases as grey or strokes give them, which clicks
    name; phases: the same, parted where objects of one phase are of different materials. naming: `naming.ObjectNaming` of the
    objects, None where nothing is said of materials. xray: (maps, placement) or None. unnamed: why no material has a name, or "". classifier:
    trained on `strokes` [(class, points, width)], or None. answers: name of the physics -> `answer.Answer`.
    The other fields are what the steps of the pipeline return."""

    asked: Asked
    picture: object
    box: tuple
    prepared: Prepared
    found: Phases
    phases: Phases = None
    named: Identification = None
    objects: Objects = None
    naming: object = None
    xray: tuple | None = None
    unnamed: str = ""
    classifier: object = None
    strokes: tuple = ()
    answers: dict = field(default_factory=dict)

    @property
    def sized(self):
        """Whether the pixel size is known; else nm stand for pixels in every length."""
        return bool(self.picture.pixel_size_source)

    @cached_property
    def names(self):
        """M names to show, a set where the evidence ends there."""
        return chip.shown_names(self.named)

    @cached_property
    def kinds(self):
        """(K,) what each object looks like: line, via ... as of `kinds.kinds_of`."""
        return kinds_of(self.objects.labels, self.objects.table)

    @cached_property
    def origin(self):
        """For each entry of `phases` the entry of `found` that it is of."""
        flat, own = self.phases.labels.ravel(), self.found.labels.ravel()
        return [int(own[np.argmax(flat == c)]) for c in range(len(self.phases.level))]

    @cached_property
    def net(self):
        """(K,) net of each object, -1 where none is known."""
        if not all(chip.plausible(self.named)):
            return np.full(len(self.objects), -1)
        try:
            return find_nets(self.objects.labels, conductivity(self.sample).value > 0)
        except InputError:      # a material without a resistivity: the physics says so when it is asked for
            return np.full(len(self.objects), -1)

    @cached_property
    def sample(self):
        """The `properties.Sample` without measured edges, for what needs none."""
        table, asked = self.objects.table, self.asked
        return Sample(self.objects.labels, table["phase"], chip.plausible(self.named), table["width_nm"] * 1e-9, self.picture.pixel_size_m,
                      Library(asked.settings), parse_length(asked.thickness) if asked.thickness else None)

    @cached_property
    def measured(self):
        """The `properties.Sample` whose edges are measured in the picture: results get the doubt of the edges."""
        return chip.sample_of(self.prepared, self.phases, self.named, self.objects, self.picture.pixel_size_m, self.sample.properties,
                              self.sample.thickness_m)

    @cached_property
    def runner_up(self):
        """(second likeliest material, index into `second_names`; its probability; second_names), (H, W) each."""
        return _second(self.phases, self.named)


def analyse(opened, asked, box, step, model=None, databar=True, xray=None):
    """The whole way: an `Analysis` of the part `box` of a `pictures.Opened`. step(name): a context manager around each step.
    model: file of a classifier, for the phases. databar: look for one and cut it. xray: (path, field or None) of X-ray maps."""
    size = asked.pixel_size and parse_pixel_size(asked.pixel_size)
    with step("read"):
        picture = opened.picture(box, size)
        top, left = (box[0], box[2]) if box else (0, 0)
    with step("prepare"):
        prepared = prepare(picture, databar=databar)
        inner = prepared.crop
    classifier = None
    with step("phases"):
        wanted = asked.phases or (len([n for n in asked.materials.split(",") if n.strip()]) if asked.materials else None)
        if model is None:
            phases = segment(prepared.image, wanted, prepared.noise_sigma)
        else:
            classifier = load(model)
            phases, classes = classifier.phases(prepared.image)
            asked = asked if asked.names else replace(asked, calibration=_own_legend(classes))
    maps = None
    if xray:
        with step("X-rays"):
            maps = laid_xray(*xray, picture.instrument.get("beam_kv"), prepared.image)
    whole = (top + inner[0], top + inner[1], left + inner[2], left + inner[3])
    return _named(Analysis(asked, picture, whole, prepared, phases, xray=maps, classifier=classifier), step)


def renamed(analysis, step, **said):
    """The same field with something said anew (fields of `Asked`): names, objects and what follows."""
    asked = replace(analysis.asked, **said)
    picture = analysis.picture
    if asked.pixel_size != analysis.asked.pixel_size and asked.pixel_size:
        picture = replace(picture, pixel_size_m=parse_pixel_size(asked.pixel_size), pixel_size_source="given on the page")
    asked.thickness and parse_length(asked.thickness)
    Library(asked.settings)
    return _named(replace(analysis, asked=asked, picture=picture), step, strict=True)


def retrained(analysis, strokes, step):
    """The field's phases by a classifier trained on strokes [(class, [(x, y), ...], width_px)], in pixels of the picture."""
    from shapely.geometry import LineString, Point
    shapes = []
    top, _, left, _ = analysis.box
    for name, points, width in strokes:
        at = [(x - left, y - top) for x, y in points]
        shapes.append((name, (LineString(at) if len(at) > 1 else Point(at[0])).buffer(width / 2)))
    with step("strokes"):
        drawn = draw(shapes, analysis.prepared.image.shape)
        missing = [name for k, name in enumerate(drawn.names) if not (drawn.labels == k + 1).any()]
        if missing:
            raise InputError(f"class {missing[0]} covers no pixel of the analysed field: draw it inside, or not under other strokes")
    with step("train"):
        classifier = train([analysis.prepared.image], [drawn.labels], drawn.names)
    with step("phases"):
        phases, classes = classifier.phases(analysis.prepared.image)
    asked = replace(analysis.asked, legend=None, calibration=_own_legend(classes), phases=None)
    return _named(replace(analysis, asked=asked, found=phases, classifier=classifier, strokes=tuple(strokes)), step)


def _own_legend(classes):
    return {k: name for k, name in enumerate(classes) if is_material(name)}


def solved(analysis, name, boundaries, step):
    """The same with the answer of one physics (`problems.NAMES`); boundaries: a dict of `problems.Boundaries` fields."""
    if not analysis.sized:
        raise InputError("the pixel size is not known: give it first, then the physics has lengths")
    with step("edges"):
        sample = analysis.measured
    answer = solve_all((name,), sample, Boundaries(**boundaries), step)[name].host()
    if answer.note and not (answer.cells or answer.points or answer.tables):
        raise InputError(answer.note)
    return replace(analysis, answers=analysis.answers | {name: answer})


def _named(analysis, step, strict=False):
    """Names and objects of an analysis whose phases stand. strict: what the user said must fit, else InputError."""
    asked, found, prepared, picture = analysis.asked, analysis.found, analysis.prepared, analysis.picture
    kv, signal = picture.instrument.get("beam_kv"), picture.instrument.get("signal")
    said = bool(asked.names or asked.materials or asked.process or analysis.xray)
    known = {} if asked.legend else {k: materials.find(name).name for k, name in asked.calibration.items()}
    named, unnamed = None, "" if said else "nothing is said of the materials: click two that you know and name them, or give a legend"
    with step("materials"):
        if signal == "SE" and not (asked.materials or asked.legend or analysis.xray) and len(known) < len(found.level):
            unnamed = "secondary electrons tell no atomic number: say what each phase is"
        else:
            try:
                named = identify(found, prepared.image, asked.materials, asked.names, asked.process, kv, signal, more=analysis.xray is not None)
            except InputError as error:
                if strict:
                    raise
                unnamed = str(error)
        phases, naming = found, None
        if said and named is not None:
            process = asked.process and load_process(asked.process)
            phases, named, naming = name_by_object(found, named, prepared.image - found.drift, process, kv, signal, *(analysis.xray or ()))
        else:
            named = _by_phase(found, named, known, unnamed)
    with step("objects"):
        objects = find_objects(named.labels, chip.shown_names(named), picture.pixel_size_m, named.confidence, phases.confidence)
        naming = naming and onto(naming, objects.labels, phases)
    return replace(analysis, phases=phases, named=named, objects=objects, naming=naming, unnamed=unnamed, answers={})


def _by_phase(phases, named, known, why):
    """Phases under their own names, or those of `known` {phase: material}; each with what candidates there are: without more
    evidence no two are joined. InputError for one material twice, which only a full legend can mean."""
    count = len(phases.level)
    if len(set(known.values())) < len(known) or not all(0 <= k < count for k in known):
        raise InputError(f"phases of one material are joined only where all {count} are named: name the others too")
    words = {0: "dark phase", count - 1: "bright phase"} if count > 1 else {0: "phase"}
    names = [known.get(k, words.get(k, f"phase {k + 1} of {count}")) for k in range(count)]
    own = {"material": names, "best": names, "names": names, "labels": phases.labels, "confidence": phases.confidence, "basis": why}
    if named is not None:
        return replace(named, **own)
    candidates = [[(known[k], 1.0)] if k in known else [] for k in range(count)]
    return Identification(**own, candidates=candidates, calibrated=False, notes=[], considered=names, posterior=np.eye(count), known=known)


def _second(phases, named):
    count = len(phases.level)
    rows = [{name: p for name, p in row[:4] if p >= 0.01} or {named.best[k]: 1.0} for k, row in enumerate(named.candidates)]
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = np.array([[row.get(name, 0.0) for name in names] for row in rows], np.float32)
    height, width = phases.labels.shape
    second, probability = np.zeros((height, width), np.uint8), np.zeros((height, width), np.float32)
    for top in range(0, height, 256) if len(names) > 1 else ():
        band = np.s_[top:top + 256]
        shares = np.einsum("kyx,km->myx", phases.posterior[:, band].reshape(count, -1, width), table, optimize=True)
        order = np.argpartition(shares, -2, axis=0)[-2]
        second[band], probability[band] = order, np.take_along_axis(shares, order[None], 0)[0]
    return second, probability, names
