"""Current heats, heat changes the resistivity, and what is warm expands: current -> heat -> temperature -> stress."""

from types import SimpleNamespace

import numpy as np
from cukernels.backend import NotConverged, array_module, on_device, to_host
from cukernels.stencil import chunks
from cukernels.threads import in_pieces, meanwhile
from numba import njit

from chipmap import InputError, terminals
from chipmap.answer import Answer, Picture, at_pixels, by_object, nothing
from chipmap.memory import together
from chipmap.physics import UNNAMED, conductivity, flux_density
from chipmap.solve import Conductor
from chipmap.solve.conduction import TOLERANCE
from chipmap.solve.confidence import energy_changes, near_source
from chipmap.stresses import stress
from chipmap.uncertainty import NO_GREY, edges_sigma, energy_sigma

ROUNDS = 60
SETTLED = 1e-10     # relative change of the power that further rounds would make
FIRST = 1e-4        # tolerance of the first round, which the next ones correct
STEADY = 0.1        # what a round changes, as a share of what the one before did, up to which the rest is seen to be as small
ROUGH = 5e-3        # of fields that sensitivities are read from
HOTTEST_K = 3000.0  # above room: the linear law of the resistivity is long void, and so is the chip


def coupled(sample, named_terminals, volts, cold, fixed, plane, driven=None):
    """Joule heat of a current between terminals, the temperature it makes with rho(T) = rho (1 + a T), and the stress.

    sample: `properties.Sample`. named_terminals: as of `physics.current`, None for left and right; the first is at `volts`.
    cold: text as "left,right": sides held at the temperature the properties hold for; the others let no heat through.
    fixed, plane: as of `stresses.stress`. driven: `physics.Driven` of the cold current, to go on from where it serves. Returns an Answer; raises InputError for what can't be used, and where the
    current heats without end.
    """
    if not sample.named:
        return nothing(f"no coupled problem: {UNNAMED}")
    xp = array_module(sample.objects)
    sides = _sides(cold)
    k0 = xp.asarray(conductivity(sample).value)[sample.objects]
    names = terminals.parse(named_terminals or "left,right", len(sample.phase))
    if len(names) < 2:
        raise InputError(f"terminals {named_terminals!r}: name at least two, as left,right or 3,17")
    try:
        held = terminals.nodes(names, sample.objects, k0 > 0)
    except InputError as error:
        if named_terminals:
            raise
        return nothing(f"no coupled problem: {error}")
    joined = terminals.joined(held, k0 > 0)
    if not joined.all():
        i, j = np.argwhere(~joined)[0]
        why = f"no conductor joins terminals {names[i]} and {names[j]}"
        if named_terminals:
            raise InputError(f"{why}: name terminals of one net (column net of objects.csv)")
        return nothing(f"no coupled problem: {why}, name others with --terminals")
    heater = _Heater(sample, k0, held, volts, sides)
    if driven is not None:
        heater.begin(driven.potential)
    try:
        rounds = heater.settle()
    except NotConverged as error:
        return nothing(f"no coupled problem: {error}")
    with meanwhile(lambda: _hottest_doubt(sample, heater), together(k0)) as hottest:
        strained = stress(sample, heater.rise, fixed, plane, "Joule heat")
        return _answer(sample, heater, strained, hottest, rounds, [str(name) for name in names], sides, volts)


def joule_heat(k, potential, dx, dy):
    """(H, W) power of each bilinear element, W a metre of depth: k times the integral of |grad u|^2, exactly."""
    if not on_device(k):
        heat = np.empty(k.shape)
        in_pieces(_joule_rows, chunks(len(k)), k, potential, dy / dx, dx / dy, heat)
        return heat
    top, bottom = potential[:-1, 1:] - potential[:-1, :-1], potential[1:, 1:] - potential[1:, :-1]
    left, right = potential[1:, :-1] - potential[:-1, :-1], potential[1:, 1:] - potential[:-1, 1:]
    return k / 3 * (dy / dx * (top * top + top * bottom + bottom * bottom) + dx / dy * (left * left + left * right + right * right))


@njit(cache=True, nogil=True)
def _joule_rows(k, u, a, b, heat, first, last):
    for i in range(first, last):
        for j in range(heat.shape[1]):
            top, bottom = u[i, j + 1] - u[i, j], u[i + 1, j + 1] - u[i + 1, j]
            left, right = u[i + 1, j] - u[i, j], u[i + 1, j + 1] - u[i, j + 1]
            heat[i, j] = k[i, j] / 3 * (a * (top * top + top * bottom + bottom * bottom) + b * (left * left + left * right + right * right))


class _Heater:
    """The two conduction problems, and the temperature between them."""

    def __init__(self, sample, k0, held, volts, sides):
        self.xp = xp = array_module(k0)
        self.dy, self.dx = sample.pixel_size_m
        self.k0, self.held, self.volts = k0, held, volts
        self.thermal = xp.asarray(sample.thermal_conductivity().value)[sample.objects]
        slope = np.array([sample.properties.temperature_coefficient(sample.candidates[m][0]) for m in range(len(sample.candidates))])
        self.slope = xp.asarray(slope[sample.phase])[sample.objects]
        cold = xp.zeros(held.shape[1:], bool)
        for side in sides:
            cold[terminals.SIDES[side]] = True
        self.cold = cold
        self.sink = Conductor(self.thermal, self.dx, self.dy, cold)
        self.rise = xp.zeros(k0.shape)
        self.potential, self.electric, self.temperature = None, None, None

    def begin(self, potential):
        """Go on from a potential, where it is that of these terminals."""
        held, there = self.held.any(axis=0), self.volts * self.held[0]
        if bool((abs(potential - there)[held] <= 1e-9 * abs(self.volts)).all()):
            self.potential = potential

    def settle(self):
        """Rounds until the power stands still. Raises NotConverged, InputError for a runaway."""
        power, change = 0.0, np.inf
        for done in range(1, ROUNDS + 1):
            before, last = power, change
            power = self._round(FIRST if done == 1 else TOLERANCE)
            change = abs(power - before)
            # changes fall by one factor from round to round: the next one's is known
            left = change * change / last if done > 1 and change <= STEADY * last else change
            if left <= SETTLED * abs(power):
                return done
        raise NotConverged(f"the power still changes by {abs(power / before - 1):.1e} after {ROUNDS} rounds of current and heat")

    def _round(self, tolerance):
        xp = self.xp
        self.k = self.k0 / (1 + self.slope * self.rise)
        if self.electric is None:
            self.electric = Conductor(self.k, self.dx, self.dy, self.held.any(axis=0))
        electric = self.electric.warmed(self.k)
        drive = self.volts * self.held[:1].astype(np.float64)
        solved = electric.solve(values=drive, start=None if self.potential is None else self.potential[None], tolerance=tolerance)
        self.potential, self.power = solved.potential[0], float(solved.power[0])
        self.amperes = float(xp.where(self.held[0], solved.inflow[0], 0).sum())
        heat = joule_heat(self.k, self.potential, self.dx, self.dy)
        self.heat = float(heat.sum())
        source = xp.zeros((1, *self.potential.shape))
        for rows in (np.s_[:-1], np.s_[1:]):
            for columns in (np.s_[:-1], np.s_[1:]):
                source[0, rows, columns] += heat / 4
        self.at_cold = float(xp.where(self.cold, source[0], 0).sum())   # what falls on a held node goes straight out
        source[:, self.cold] = 0
        start = None if self.temperature is None else self.temperature[None]
        self.temperature = self.sink.solve(sources=source, start=start, tolerance=tolerance).potential[0]
        self.out = self.at_cold - float(xp.where(self.cold, self.sink.inflow(self.temperature[None])[0], 0).sum())
        self.rise = at_pixels(self.temperature)
        hottest = float(self.rise.max())
        if not hottest < HOTTEST_K:
            raise InputError(f"the current heats the picture by more than {HOTTEST_K:g} K: lower --voltage")
        return self.power


def _doubt(sample, heater, density, volts):
    """Standard deviation of the resistance from where the edges are, at the temperature found."""
    xp = heater.xp
    flux = xp.moveaxis(density, -1, 0) / volts if volts else None
    sigma, why = energy_sigma(sample, heater.k, xp.zeros(heater.k.shape, bool), [flux]) if volts and heater.power else (None, "no current")
    if why:
        return {"sigma": None, "why_no_sigma": why}
    conductance = heater.power / volts ** 2
    return {"sigma": float(sigma[0, 0]) / conductance ** 2, "sigma_from": "where the edges are, first order, at the temperature found"}


def _hottest_doubt(sample, heater):
    """Standard deviation of the hottest place's temperature from where the edges are, K."""
    if sample.measured is None:
        return {"sigma": None, "why_no_sigma": NO_GREY}
    if not heater.power:
        return {"sigma": None, "why_no_sigma": "no current"}
    try:
        sigma, why = edges_sigma(sample, hottest_changes(heater, sample.measured.edges)[:, None, None])
    except NotConverged as error:
        return {"sigma": None, "why_no_sigma": str(error)}
    return {"sigma": None, "why_no_sigma": why} if why else {"sigma": float(sigma[0, 0]), "sigma_from": "where the edges are, first order, at the hottest place"}


def hottest_changes(heater, edges):
    """(F,) change of the hottest place's temperature, K, for each pixel that a face of the edges moves, to first order.

    The adjoint is the temperature of a unit of power at that place; a second one carries what it says of the heat to the potential.
    How the warmth changes the resistivity is left out: the heat is that of the resistivity found.
    """
    xp, dx, dy = heater.xp, heater.dx, heater.dy
    place = tuple(int(n) for n in np.unravel_index(int(heater.temperature.argmax()), heater.temperature.shape))
    point = xp.zeros(heater.temperature.shape)
    point[place] = 1.0
    alone = heater.sink.solve(sources=xp.where(heater.cold, 0, point)[None], tolerance=ROUGH).potential[0]
    felt = at_pixels(alone)
    electric = heater.electric.warmed(heater.k)
    driven = 2 * heater.electric.warmed(heater.k * felt).inflow(heater.potential[None])
    driven = xp.where(electric.fixed | electric.floating, 0, driven)
    adjoint = electric.solve(sources=driven, tolerance=ROUGH).potential[0]

    # the pixels beside the edges alone, one row of them
    count, rows, columns = len(edges.row), *(np.concatenate(pair) for pair in zip((edges.row, edges.column), edges.beyond))
    beside = SimpleNamespace(normal=edges.normal, row=np.zeros(count, int), column=np.arange(count), beyond=(np.zeros(count, int), np.arange(count, 2 * count)))
    near = near_source(edges, place)

    def changes(k, *potentials):
        own = k[rows, columns]
        fluxes = []
        for u in potentials:
            falling, rising = u[rows, columns] - u[rows + 1, columns + 1], u[rows + 1, columns] - u[rows, columns + 1]
            fluxes.append(own * xp.stack([(falling + rising) / (2 * dx), (falling - rising) / (2 * dy)]))
        return energy_changes(beside, to_host(own)[None], np.zeros((1, 2 * count), bool), edges.weight * dx * dy, [part[:, None] for part in fluxes], near)
    own, heat, felt = changes(heater.thermal, heater.temperature, alone), changes(heater.k, heater.potential, adjoint), to_host(felt)
    there = (felt[edges.row, edges.column] + felt[edges.beyond]) / 2
    return there * heat[:, 0, 0] - heat[:, 0, 1] - own[:, 0, 1]


def _sides(cold):
    sides = [part.strip() for part in cold.split(",") if part.strip()]
    if not sides or set(sides) - set(terminals.SIDES):
        raise InputError(f"cold sides {cold!r} can't be used: name one or more of {', '.join(terminals.SIDES)}")
    return sides


def _answer(sample, heater, strained, hottest, rounds, names, sides, volts):
    count = len(sample.phase)
    density = flux_density(heater.k, heater.potential, heater.dx, heater.dy)
    vi = volts * heater.amperes
    facts = {
        "terminals": names, "voltage": {"value": volts, "unit": "V"}, "cold_sides": sides, "rounds": rounds,
        "resistance": {"value": volts ** 2 / heater.power if heater.power else None, "lower": None, "upper": None, **_doubt(sample, heater, density, volts),
                       "unit": "ohm m", "meaning": "warm; divide by the depth"},
        "power": {"value": heater.power, "v_times_i": vi, "joule_heat": heater.heat, "heat_out": heater.out, "unit": "W/m",
                  "imbalance": abs(heater.heat / vi - 1) if vi else 0.0, "per": "metre of depth"},
        "highest_temperature_rise": {"value": float(heater.temperature.max()), "unit": "K", "lower": None, "upper": None, **hottest()},
        "strain_energy": strained.facts.get("strain_energy"),
        "largest_von_mises": strained.facts.get("largest_von_mises"),
        "resistivity": "rises by each metal's temperature coefficient; thermal conductivity and elasticity are those at room temperature",
        "boundary": strained.facts.get("boundary"),
    }
    columns = by_object(sample.objects, count, mean_joule_rise_k=heater.rise, highest_joule_rise_k=heater.rise)
    if "highest_von_mises_pa" in strained.columns:
        columns["highest_joule_von_mises_pa"] = strained.columns["highest_von_mises_pa"]
    title = f"Joule heat of {volts:g} V, {names[0]} against {', '.join(names[1:])}"
    pictures = [Picture("joule_temperature.png", heater.rise, "temperature rise", "K", f"{title}; cold: {', '.join(sides)}")]
    for picture in strained.pictures:
        pictures.append(Picture("joule_von_mises.png", picture.values, picture.quantity, picture.unit, title, picture.colours, picture.clip))
    cells = {"joule_current_density_a_m2": density} | {f"joule_{name}": a for name, a in strained.cells.items() if name == "von_mises_pa"}
    points = {"joule_temperature_rise_k": heater.temperature, "joule_potential_v": heater.potential}
    points |= {f"joule_{name}": a for name, a in strained.points.items()}
    return Answer(facts, points, cells, columns, pictures=pictures, note=strained.note)
