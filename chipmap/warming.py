"""Heat that objects give off: how warm they get for each watt, at rest and after a pulse."""

import re

import numpy as np
from cukernels.backend import NotConverged, array_module, to_host

from chipmap import InputError
from chipmap.answer import Answer, Picture, at_pixels, by_object, nothing
from chipmap.physics import UNNAMED, flux_density
from chipmap.solve import thermal_resistance, transient
from chipmap.solve.confidence import energy_changes, near_source
from chipmap.solve.junction import SIDES, spread, surroundings
from chipmap.uncertainty import NO_GREY, edges_sigma

ROUGH = 1e-4        # of a field that sensitivities are read from
STEP = 3e-3         # largest error of a time step, share of the largest change
MOMENTS = 5         # from the start to the end of the pulse, and as many after it
SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ns": 1e-9, "ps": 1e-12}


def junction(sample, heater, cold, film):
    """Thermal resistance from objects that share a power evenly by volume to the cold or convecting sides: an Answer.

    sample: `properties.Sample`. heater: text as "3,17". cold: text as "left,right", or "". film: text as "top=1e4", W/(m2 K),
    or "". Raises InputError for what can't be used.
    """
    if not sample.named:
        return nothing(f"no junction: {UNNAMED}")
    dy, dx = sample.pixel_size_m
    k, hot, sides, films = _set_up(sample, heater, cold, film)
    try:
        solved = thermal_resistance(k, hot, dx, dy, sides, films)
        upper = solved.upper
    except NotConverged as error:
        return nothing(f"no junction: {error}")
    except ValueError as error:
        raise InputError(f"heater {heater}: {error}") from None
    rise, flux = at_pixels(solved.temperature), flux_density(k, solved.temperature, dx, dy)
    (sigma, why), (hottest, why_not) = _sigma_of_mean_and_peak(sample, k, flux, solved)
    facts = {
        "thermal_resistance": {"value": solved.value, "lower": solved.lower, "upper": upper if np.isfinite(upper) else None, "unit": "K m/W",
                               "sigma": sigma, "why_no_sigma": why,
                               "meaning": "mean rise of the heater for each watt that spreads evenly in it; divide by the depth",
                               "why_no_upper": None if np.isfinite(upper) else "joined to the sides through corners of pixels only"},
        "peak": {"value": solved.peak, "unit": "K m/W", "lower": None, "upper": None, "sigma": hottest, "why_no_sigma": why_not,
                 "sigma_from": "where the edges are, first order, at the hottest place"},
        "heater": _numbers(heater, len(sample.phase)), "cold_sides": list(sides), "film_w_m2k": films, "other_sides": "insulated",
        "iterations": int(solved.iterations),
    }
    if sample.thickness_m:
        facts["thermal_resistance"] |= {"of_the_layer_k_w": solved.value / sample.thickness_m, "thickness_m": sample.thickness_m}
    columns = by_object(sample.objects, len(sample.phase), mean_rise_k_m_w=rise, highest_rise_k_m_w=rise)
    return Answer(facts, {"rise_per_power_k_m_w": solved.temperature},
                  {"heat_flux_per_power_1_m": flux}, columns,
                  pictures=[Picture("junction.png", rise, "temperature rise for each W/m", "K m/W", f"heat from object {heater}; {_shown(sides, films)}")])


def _sigma_of_mean_and_peak(sample, k, flux, solved):
    """((sigma, why not) of the heater's mean, the same of the hottest node): to first order, from where edges are. flux: (H, W, 2) at unit
    power of the heater; its product with that at unit power of the hottest node alone is what edges do to that node."""
    if sample.measured is None:
        return (None, NO_GREY), (None, NO_GREY)
    edges, (dy, dx) = sample.measured.edges, sample.pixel_size_m
    how, own = (edges, to_host(k), np.zeros(k.shape, bool), edges.weight * dx * dy), np.moveaxis(to_host(flux), -1, 0)
    sigma, why = edges_sigma(sample, energy_changes(*how, [own]))
    mean = (None if sigma is None else float(sigma[0, 0])), why
    try:
        alone = np.moveaxis(to_host(flux_density(k, solved.warming(ROUGH), dx, dy)), -1, 0)
    except NotConverged as error:
        return mean, (None, str(error))
    sigma, why = edges_sigma(sample, energy_changes(*how, [own, alone], near_source(edges, solved.hottest))[:, :1, 1:])
    return mean, ((None if sigma is None else float(sigma[0, 0])), why)


def pulse(sample, heater, cold, film, watts, length, until=None):
    """Temperature over time of objects that give off `watts` (W a metre of depth) for `length`, as an Answer.

    length, until: text as "5ns"; until None for twice the pulse. The rest as of `junction`. Raises InputError.
    """
    if not sample.named:
        return nothing(f"no transient heat: {UNNAMED}")
    xp, (dy, dx) = array_module(sample.objects), sample.pixel_size_m
    on = parse_time(length, "pulse")
    end = 2 * on if until is None else parse_time(until, "end")
    if not (np.isfinite(watts) and watts > 0):
        raise InputError(f"power {watts} can't be used: give watts a metre of depth, above zero")
    k, hot, sides, films = _set_up(sample, heater, cold, film)
    capacity = xp.asarray(sample.per_object("heat_capacity_j_m3k").value)[sample.objects]
    try:
        fixed, at_sides = surroundings(xp, k.shape, dx, dy, sides, films)
    except ValueError as error:
        raise InputError(str(error)) from None
    load = xp.where(fixed, 0, spread(hot * (watts / float(hot.sum()))))
    none = xp.zeros_like(load)
    times = sorted({*(on * np.arange(1, MOMENTS + 1) / MOMENTS), *(on + (end - on) * np.arange(1, MOMENTS + 1) / MOMENTS)} - {0.0})
    times = [t for t in times if t <= end * (1 + 1e-12)]
    try:
        found = transient(k, capacity, lambda t: load if t < on else none, times, dx, dy, fixed, at_sides, breaks=[on], tolerance=STEP)
    except NotConverged as error:
        return nothing(f"no transient heat: {error}")
    except ValueError as error:
        raise InputError(f"heater {heater}: {error}") from None
    return _told(sample, found, hot, heater, sides, films, watts, on, _doubt(sample, k, capacity, found, watts, on))


def parse_time(text, what):
    """Seconds of "5ns"; InputError where it is no time above zero."""
    match = re.fullmatch(r"\s*([\d.eE+-]+)\s*([a-zµμ]+)\s*", str(text))
    try:
        seconds = float(match[1]) * SECONDS[match[2]]
    except (TypeError, ValueError, KeyError):
        seconds = np.nan
    if not 0 < seconds < 1e6:
        raise InputError(f"{what} {text!r} is not a time: write a number and a unit ({', '.join(SECONDS)}), for example 5ns")
    return seconds


def _set_up(sample, heater, cold, film):
    xp = array_module(sample.objects)
    numbers = _numbers(heater, len(sample.phase))
    hot = xp.zeros(sample.objects.shape, bool)
    for n in numbers:
        hot |= sample.objects == n
    sides = tuple(part.strip() for part in cold.split(",") if part.strip())
    films = _films(film)
    sides = tuple(side for side in sides if side not in films)
    if set(sides) - set(SIDES):
        raise InputError(f"cold sides {cold!r} can't be used: name some of {', '.join(SIDES)}")
    return xp.asarray(sample.thermal_conductivity().value)[sample.objects], hot, sides, films


def _numbers(heater, count):
    parts = [part.strip() for part in (heater or "").split(",") if part.strip()]
    if not parts:
        raise InputError("heat needs a heater: name objects of objects.csv with --heater, as 3,17")
    for part in parts:
        if not part.isdecimal() or int(part) >= count:
            raise InputError(f"heater {part!r} is no object of objects.csv (0 to {count - 1})")
    return sorted({int(part) for part in parts})


def _films(text):
    films = {}
    for part in (text or "").split(","):
        if part.strip():
            side, equals, number = (p.strip() for p in part.partition("="))
            try:
                films[side] = float(number)
            except ValueError:
                films[side] = np.nan
            if not equals or side not in SIDES or not (np.isfinite(films[side]) and films[side] > 0):
                raise InputError(f"film {part.strip()!r} can't be read: write SIDE=NUMBER in W/(m2 K), as top=1e4, sides {', '.join(SIDES)}")
    return films


def _shown(sides, films):
    held = [f"{', '.join(sides)} cold"] if sides else []
    return "; ".join([*held, *(f"{side} {value:g} W/(m² K)" for side, value in films.items())])


def _doubt(sample, k, capacity, found, watts, on):
    """(standard deviation of the heater's mean rise when the pulse ends, K, "") from where the edges are, to first order, or (None, why).

    What a change of conductivity or capacity does then is the convolution of the warming with the temperature that has been
    reached, for a heater's response to its own heat is its own adjoint; both are taken as straight between the moments kept.
    """
    if sample.measured is None:
        return None, NO_GREY
    edges, (dy, dx) = sample.measured.edges, sample.pixel_size_m
    kept = [to_host(t) for t, time in zip(found.temperature, found.times) if time <= on * (1 + 1e-9)]
    if len(kept) < MOMENTS:
        return None, "the run ends before the pulse"
    kept = [np.zeros_like(kept[0]), *kept]
    rise, mean = [b - a for a, b in zip(kept, kept[1:])], [(a + b) / 2 for a, b in zip(kept, kept[1:])]
    k, none, area = to_host(k), np.zeros(k.shape, bool), edges.weight * dx * dy
    inside, outside = (edges.row, edges.column), edges.beyond
    stored = (to_host(capacity)[inside] - to_host(capacity)[outside]) * area * (MOMENTS / on)
    total = 0.0
    for n in range(MOMENTS):
        pair = [np.moveaxis(flux_density(k, u, dx, dy), -1, 0) for u in (rise[n], mean[-1 - n])]
        total = total + energy_changes(edges, k, none, area, pair)[:, 0, 1]
        one, other = (at_pixels(u) for u in (rise[n], rise[-1 - n]))
        total = total + stored * (one[inside] * other[inside] + one[outside] * other[outside]) / 2
    sigma, why = edges_sigma(sample, (total / watts)[:, None, None])
    return (None if why else float(sigma[0, 0])), why


def _told(sample, found, hot, heater, sides, films, watts, on, doubt):
    mean = [to_host(at_pixels(t)[hot].mean()).item() for t in found.temperature]
    highest = [float(t.max()) for t in found.temperature]
    hottest = int(np.argmax(found.steps[:, 1]))
    last = found.temperature[int(np.argmax(highest))]
    facts = {
        "power": {"value": watts, "unit": "W/m", "per": "metre of depth"}, "pulse_s": on, "heater": _numbers(heater, len(sample.phase)),
        "cold_sides": list(sides), "film_w_m2k": films, "other_sides": "insulated",
        "highest_temperature_rise": {"value": float(found.steps[hottest, 1]), "unit": "K", "at_s": float(found.steps[hottest, 0]), "lower": None, "upper": None, "sigma": None,
                                     "why_no_sigma": "the place and the moment would take a further run back in time; that of the heater's mean is below"},
        "mean_rise_of_heater_at_the_end_of_the_pulse": {
            "value": next((m for t, m in zip(found.times, mean) if abs(t / on - 1) < 1e-9), None), "unit": "K", "lower": None, "upper": None,
            "sigma": doubt[0], **({"why_no_sigma": doubt[1]} if doubt[1] else {"sigma_from": "where the edges are, first order"})},
        "steps": len(found.steps), "rejected_steps": found.rejected, "table": "transient.csv",
        "error": f"each step at most {STEP:g} of the largest change since the start",
    }
    table = {"time_s": found.times, "mean_rise_of_heater_k": mean, "highest_rise_k": highest}
    columns = by_object(sample.objects, len(sample.phase), highest_pulse_rise_k=at_pixels(last))
    return Answer(facts, {"pulse_rise_k": last}, {}, columns, {"transient.csv": table},
                  [Picture("transient.png", at_pixels(last), "temperature rise", "K",
                           f"{watts:g} W/m in object {heater} for {on:.3g} s, at its hottest moment kept; {_shown(sides, films)}")])
