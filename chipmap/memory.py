"""How much memory a solve takes at most, stated before it starts."""

from chipmap import stress

# Bytes a pixel beside the picture, results included; measured on pictures of small blocks (tests hold them as upper bounds)
HEAT = 330          # also current
JUNCTION = 340
TRANSIENT = 460
CHARGE, CONDUCTOR = 360, 100    # and for each conductor but one
COUPLED = 180       # beside the stress
CONDUCTORS = 4      # where none are named


def needs(names, shape, boundaries):
    """Bytes that the chosen physics takes at most: those of the one that takes most, for they follow each other."""
    return max(_needs(name, shape, boundaries) for name in names)


def _needs(name, shape, boundaries):
    margin = boundaries.margin if name == "charge" else 0
    pixels = (shape[0] + 2 * margin + 16) * (shape[1] + 2 * margin + 16)
    conductors = len(boundaries.conductors.split(",")) if boundaries.conductors else CONDUCTORS
    each = {"heat": HEAT, "current": HEAT, "junction": JUNCTION, "transient": TRANSIENT, "charge": CHARGE + CONDUCTOR * (conductors - 1),
            "coupled": COUPLED, "stress": 0, "stiffness": 0}[name]
    loads = {"coupled": 1, "stress": 1, "stiffness": 4}.get(name)
    return each * pixels + (stress.peak_bytes(shape, loads) if loads else 0)
