"""What a tab of the page has open: a picture, how far its analysis has come, and the layers drawn from it."""

import shutil
import threading
from dataclasses import dataclass, field

import numpy as np

from chipmap import chip
from chipmap.layout import look
from chipmap.page import tiles
from chipmap.page.fields import fields_of
from chipmap.page.pictures import Opened
from chipmap.report import colour_table

KEPT = 12                   # earlier analyses that can be gone back to,
KEPT_PIXELS = 40_000_000    # and their pixels together: about 60 bytes each, where they share nothing


@dataclass
class Document:
    """One picture in one tab. analysis: `analysis.Analysis` or None; version counts its changes, so that a tile's address
    says which one it shows. Another tab's document may share the picture and start from the same analysis; own: whether
    the picture's folder goes with this document."""

    id: str
    opened: Opened
    analysis: object = None
    version: int = 0
    own: bool = True
    history: list = field(default_factory=list)
    exported: dict = field(default_factory=dict)
    _layers: dict = field(default_factory=dict)
    _fields: tuple = (None, {})
    _lock: object = field(default_factory=threading.RLock)

    def take(self, analysis):
        """Make this the analysis that is shown; the one before can be gone back to."""
        with self._lock:
            if self.analysis is not None:
                most = int(np.clip(KEPT_PIXELS // self.analysis.named.labels.size, 1, KEPT))
                self.history = [*self.history, self.analysis][-most:]
            self._show(analysis)

    def back(self):
        """The analysis before the last change again; False where there is none."""
        with self._lock:
            if not self.history:
                return False
            self._show(self.history.pop())
            return True

    def _show(self, analysis):
        self.forget_exports()
        self.analysis, self.version, self._layers = analysis, self.version + 1, {}

    def forget_exports(self):
        """Take what was made to be taken home off the disk."""
        for path in self.exported.values():
            shutil.rmtree(path.parent, ignore_errors=True)
        self.exported = {}

    @property
    def fields(self):
        """{key: `fields.Field`} of the answers."""
        analysis = self.analysis
        with self._lock:
            if self._fields[0] is not analysis:
                self._fields = analysis, fields_of(analysis.answers) if analysis else {}
            return self._fields[1]

    def tile(self, version, layer, zoom, x, y):
        """PNG bytes; an empty tile where the layer or its version is no more."""
        if layer == "picture":
            return tiles.picture_tile(self.opened, zoom, x, y)
        with self._lock:
            if version != self.version or self.analysis is None:
                return tiles.empty_tile()
            drawn = self._layers.get(layer)
            if drawn is None:
                drawn = self._layers[layer] = self._drawn(layer)
        return tiles.empty_tile() if drawn is None else drawn.tile(zoom, x, y)

    def _drawn(self, layer):
        analysis = self.analysis
        corner = analysis.box[0], analysis.box[2]
        kind, _, rest = layer.partition("-")
        if kind == "material" and rest.isdecimal() and int(rest) < len(analysis.names):
            return tiles.material_layer(analysis.named.labels, int(rest), look(analysis.names[int(rest)])["colour"], corner)
        if layer == "confidence":
            return tiles.scalar_layer(analysis.named.confidence, 0.5, 1.0, colour_table("cividis"), corner)
        if layer == "runner-up":
            second, probability, names = analysis.runner_up
            return tiles.runner_up_layer(second, probability, [look(name)["colour"] for name in names], corner)
        if kind == "field" and rest in self.fields:
            drawn = self.fields[rest]
            return tiles.scalar_layer(drawn.values, drawn.low, drawn.high, colour_table(drawn.colours), corner)
        return None

    def told(self):
        """What the page is told of this document: JSON-able."""
        opened, facts = self.opened, self.opened.facts
        size = self.analysis.picture.pixel_size_m if self.analysis else facts["pixel_size_m"]
        sized = self.analysis.sized if self.analysis else opened.sized
        return {
            "id": self.id, "name": opened.name, "rows": opened.shape[0], "columns": opened.shape[1], "bits": facts["bits"], "version": self.version,
            "pixel_size_nm": [1e9 * s for s in size] if sized else None,
            "pixel_size_source": self.analysis.picture.pixel_size_source if self.analysis else facts["pixel_size_source"],
            "instrument": _shown_tags(facts["instrument"]), "notes": facts["notes"], "can_go_back": bool(self.history),
            "analysis": None if self.analysis is None else _analysis(self.analysis, self.fields),
        }


def _shown_tags(instrument):
    return {key: value for key, value in instrument.items() if isinstance(value, str | int | float) and key != "pixel_size_source"}


def _analysis(analysis, fields):
    named, phases, table = analysis.named, analysis.phases, analysis.objects.table
    materials = []
    whole = analysis.named.labels.size
    area = analysis.picture.pixel_size_m[0] * analysis.picture.pixel_size_m[1] * 1e18
    for m, name in enumerate(analysis.names):
        own, members = table["phase"] == m, chip.members(named, m)
        materials.append({
            "name": name, "colour": look(name)["colour"], "phases": sorted({analysis.origin[k] for k in members}), "objects": int(own.sum()),
            "share": float(own @ table["area_nm2"] / area / whole), "share_sd": float(own @ table["area_sd_nm2"] / area / whole),
            "candidates": [[n, p] for n, p in named.candidates[members[0]][:6]],
            "grey": [float(phases.level[k]) for k in members],
        })
    return {
        "objects_are": str(id(analysis.objects)),     # changes with them, stays while only answers are added
        "box": list(analysis.box), "materials": materials, "basis": named.basis, "calibrated": named.calibrated, "unnamed": analysis.unnamed,
        "notes": [*phases.notes, *named.notes], "preparation": [row["what"] for row in analysis.prepared.report], "phases": len(analysis.found.level),
        "evidence": phases.chosen, "phase_rows": _phase_rows(analysis), "objects": len(analysis.objects), "mean_confidence": float(np.mean(named.confidence)),
        "said": {"legend": analysis.asked.legend, "calibration": {str(k): v for k, v in analysis.asked.calibration.items()},
                 "materials": analysis.asked.materials, "process": analysis.asked.process, "thickness": analysis.asked.thickness,
                 "pixel_size": analysis.asked.pixel_size, "phases": analysis.asked.phases},
        "classifier": None if analysis.classifier is None else {
            "classes": analysis.classifier.classes, "out_of_bag_error": analysis.classifier.card["out_of_bag_error"],
            "samples": analysis.classifier.card["out_of_bag_samples"]},
        "strokes": [[name, points, width] for name, points, width in analysis.strokes],
        "fields": [_field(f) for f in fields.values()],
        "curves": {name: {column: np.asarray(values, float).tolist() for column, values in table.items()}
                   for answer in analysis.answers.values() for name, table in answer.tables.items() if "time_s" in table},
        "answers": {name: answer.facts for name, answer in analysis.answers.items()},
        "physics_ready": all(chip.plausible(named)) and analysis.sized,
    }


def _phase_rows(analysis):
    """What clicks and the legend name: each phase of the grey, with the names it has now."""
    rows = []
    for k, level in enumerate(analysis.found.level):
        own = [c for c, origin in enumerate(analysis.origin) if origin == k]
        names = list(dict.fromkeys(analysis.named.material[c] for c in own))
        sure = not analysis.unnamed and len(own) == 1 and len(analysis.named.candidates[own[0]]) == 1
        rows.append({"phase": k, "grey": float(level), "names": names, "colour": look(names[0])["colour"] if names else "#888888", "sure": sure})
    return rows


def _field(f):
    factor, unit = f.scale()
    table = colour_table(f.colours)
    stops = ["#{:02x}{:02x}{:02x}".format(*table[i]) for i in np.linspace(0, 255, 17).astype(int)]
    return {"key": f.key, "physics": f.physics, "quantity": f.quantity, "unit": unit, "low": f.low * factor, "high": f.high * factor,
            "clipped": f.clipped, "stops": stops}
