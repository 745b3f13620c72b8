"""How much memory a solve takes at most, stated before it starts."""

from cukernels.backend import array_module, on_device
from cukernels.multigrid import FEW

from chipmap import stress

# Bytes a pixel beside the picture, results included; measured on pictures of small blocks (tests hold them as upper bounds)
HEAT, TOGETHER = 300, 430       # also current; while the bound is solved beside the interval
MOST_TOGETHER = 1 << 23         # pixels of a picture up to which it is
JUNCTION = 340
TRANSIENT = 460
CHARGE, CONDUCTOR = 300, 100    # and for each conductor but one
COUPLED = 210       # beside the stress
CONDUCTORS = 4      # where none are named
FINE = 180          # more, but for charge, where more than FEW nodes are corners at which pieces touch: there links may choose the coarse nodes
# and what its results hold on to while the next ones are solved
KEPT = {"heat": 36, "current": 36, "charge": 30, "stress": 50, "coupled": 58, "junction": 30, "transient": 50, "stiffness": 2}


def together(field):
    """Whether two solves of a picture go on side by side: on processors, where memory for both is no matter."""
    return not on_device(field) and field.size <= MOST_TOGETHER


def fine(sample):
    """Whether pieces of one phase touch at corners alone in so many places that conduction may need `FINE` bytes a pixel more."""
    xp = array_module(sample.objects)
    phase = xp.asarray(sample.phase.astype("int32"))[sample.objects]
    nw, ne, sw, se = phase[:-1, :-1], phase[:-1, 1:], phase[1:, :-1], phase[1:, 1:]
    apart = (nw != ne) & (nw != sw) & (se != ne) & (se != sw)
    return apart.size > 0 and float(apart.mean()) > FEW


def needs(names, shape, boundaries, fine=False, hard=False):
    """Bytes that the chosen physics takes at most, one after the other, the results of those before included; fine: as of `fine`;
    hard: stiffness with voids or of high contrast, as `stress.is_hard_picture` tells."""
    pixels = (shape[0] + 16) * (shape[1] + 16)
    return max(_needs(name, shape, boundaries, fine, hard) + pixels * sum(KEPT[earlier] for earlier in names[:n]) for n, name in enumerate(names))


def _needs(name, shape, boundaries, fine, hard):
    margin = boundaries.margin if name == "charge" else 0
    pixels = (shape[0] + 2 * margin + 16) * (shape[1] + 2 * margin + 16)
    conductors = len(boundaries.conductors.split(",")) if boundaries.conductors else CONDUCTORS
    heat = HEAT if shape[0] * shape[1] > MOST_TOGETHER else TOGETHER
    each = {"heat": heat, "current": heat, "junction": JUNCTION, "transient": TRANSIENT, "charge": CHARGE + CONDUCTOR * (conductors - 1),
            "coupled": COUPLED, "stress": 0, "stiffness": 0}[name]
    loads = {"coupled": 1, "stress": 1, "stiffness": 4}.get(name)
    if fine and name in ("heat", "current", "junction", "transient", "coupled"):
        each += FINE
    return each * pixels + (stress.peak_bytes(shape, loads, hard) if loads else 0)
