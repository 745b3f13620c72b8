"""Which material each object of a picture is, where the coefficients of the materials are in doubt, and in the same doubt for all.

An object's eta is read off its grey on the straight line through two known materials. A model that gives copper too large
a coefficient does so for every copper line of the picture, and where copper calibrates, for all others too: such errors
are drawn once for the picture, not for each object. So are the errors of unmixing, for objects of one kind.

    theta[m] ~ N(value[m], doubt[m]^2)    coefficient of material m in this picture         c[m] ~ N(0, 1)
    (1 - place[k]) low + place[k] high = theta[m] + alike[k] c[m] + e[k],  m = kind of object k,
    e[k] ~ N(0, (chance[k]^2 + grain[m]^2) ((high - low) / span)^2),  low, high flat

Kinds are summed over and the rest is sampled: sequential Monte Carlo from the prior to the posterior (P. Del Moral, A.
Doucet, A. Jasra, J. R. Stat. Soc. B 68, 411 (2006)), the likelihood raised to a growing power, with a Gibbs step at each:
kinds given coefficients, then coefficients, low and high together given kinds, a normal distribution but for the
factor (high - low), which a Metropolis test puts right.
"""

from dataclasses import dataclass

import numpy as np

PARTICLES = 256
KEPT = 0.6       # share of the particles that still count after the power has grown
FIRST = 1e-6     # power of the likelihood at which the particles start
LAST = 3         # steps at full power
OBJECTS = 64     # that the coefficients are learned from
AT_ONCE = 4_000_000  # numbers


@dataclass(frozen=True)
class Readings:
    """What is known of K objects and M candidates. place: (K,) 0 at the darker, 1 at the brighter known material. chance,
    alike: (K,) standard deviations of its eta by chance, and those that objects of one kind have in common. known: (K,)
    material, or -1. value, doubt, grain: (M,). times: (M,) how much likelier each is than another beforehand. span: eta
    between the two known materials, as tabled."""

    place: np.ndarray
    chance: np.ndarray
    alike: np.ndarray
    known: np.ndarray
    value: np.ndarray
    doubt: np.ndarray
    grain: np.ndarray
    times: np.ndarray
    low: int
    high: int

    @property
    def span(self):
        return self.value[self.high] - self.value[self.low]

    def of(self, chosen):
        return Readings(self.place[chosen], self.chance[chosen], self.alike[chosen], self.known[chosen], self.value, self.doubt,
                        self.grain, self.times, self.low, self.high)


@dataclass
class Particles:
    """theta, c: (S, M); low, high: (S,)."""

    theta: np.ndarray
    c: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def __getitem__(self, order):
        return Particles(self.theta[order], self.c[order], self.low[order], self.high[order])


def kinds(readings, seed=0):
    """(K, M) posterior of the material of each object, rows sum to 1, candidates as likely beforehand as `times` says.

    readings: `Readings`. Of more than `OBJECTS` objects, the best known one of every reading teaches the coefficients.
    """
    chosen = _teachers(readings)
    taught = readings.of(chosen)
    particles = _posterior(taught, np.random.default_rng(seed))
    out = np.empty((len(readings.place), len(readings.value)))
    step = max(AT_ONCE // (PARTICLES * len(readings.value)), 1)
    for first in range(0, len(out), step):
        part = slice(first, first + step)
        log = _log(readings.of(part), particles)
        out[part] = np.exp(log - log.max(axis=(0, 2), keepdims=True)).mean(0)  # likely particles count for more
    out[chosen] = _normalised(_log(taught, particles)).mean(0)  # whose own readings chose the particles
    return out / out.sum(1, keepdims=True)


def _normalised(log):
    weight = np.exp(log - log.max(-1, keepdims=True))
    return weight / weight.sum(-1, keepdims=True)


def _teachers(readings):
    """Numbers of at most about `OBJECTS` objects: the surest of each run of alike readings, and of each known material."""
    if len(readings.place) <= OBJECTS:
        return np.arange(len(readings.place))
    doubt = np.hypot(readings.chance, readings.alike)
    runs = np.array_split(np.argsort(readings.place, kind="stable"), OBJECTS)
    surest = [run[doubt[run].argmin()] for run in runs]
    told = [np.flatnonzero(readings.known == m) for m in np.unique(readings.known[readings.known >= 0])]
    return np.unique([*surest, *(own[doubt[own].argmin()] for own in told)])


def _posterior(readings, rng):
    """`Particles` of the coefficients, given all readings."""
    count = len(readings.value)
    theta = readings.value + readings.doubt * rng.normal(size=(PARTICLES, count))
    now = Particles(theta, rng.normal(size=(PARTICLES, count)), theta[:, readings.low].copy(), theta[:, readings.high].copy())
    power = FIRST
    now = _moved(readings, now, power, rng)
    while power < 1:
        own = _log(readings, now)
        further = _power(own, power)
        weight = _weights(own, power, further)
        place = (rng.random() + np.arange(PARTICLES)) / PARTICLES
        now = now[np.minimum(np.searchsorted(np.cumsum(weight) / weight.sum(), place), PARTICLES - 1)]
        power = further
        now = _moved(readings, now, power, rng)
    for _ in range(LAST):
        now = _moved(readings, now, 1.0, rng)
    return now


def _power(log, power):
    """The largest power at which `KEPT` of the particles still count."""
    if _count(_weights(log, power, 1.0)) >= KEPT:
        return 1.0
    low, high = power, 1.0
    for _ in range(12):
        middle = np.sqrt(low * high)
        low, high = (middle, high) if _count(_weights(log, power, middle)) >= KEPT else (low, middle)
    return min(max(low, 1.02 * power), 1.0)


def _weights(log, power, further):
    gain = _sum(further * log) - _sum(power * log)
    return np.exp(gain - gain.max())


def _sum(log):
    """(S,) log-likelihood of all objects, kinds summed over."""
    top = log.max(2)
    return (top + np.log(np.exp(log - top[:, :, None]).sum(2))).sum(1)


def _count(weight):
    return weight.sum() ** 2 / (weight**2).sum() / len(weight)


def _variance(readings):
    return readings.chance[:, None] ** 2 + readings.grain**2  # (K, M)


def _log(readings, at):
    """(S, K, M) log-likelihood of each object, were it of each kind."""
    scale = (at.high - at.low)[:, None, None] / readings.span
    read = (1 - readings.place) * at.low[:, None] + readings.place * at.high[:, None]
    rest = at.theta[:, None] + readings.alike[:, None] * at.c[:, None] - read[:, :, None]
    variance = _variance(readings)
    log = -0.5 * (rest / np.where(scale > 0, scale, 1)) ** 2 / variance - 0.5 * np.log(variance) + np.log(readings.times)
    told = readings.known >= 0
    log[:, told] = np.where(readings.known[told, None] == np.arange(log.shape[2]), log[:, told], -1e30)
    return np.where(scale > 0, log, -1e30)


def _moved(readings, now, power, rng):
    """A Gibbs step at a power of the likelihood."""
    share = _normalised(power * _log(readings, now)).cumsum(2)
    kind = np.minimum((share < rng.random((*share.shape[:2], 1))).sum(2), share.shape[2] - 1)
    new = _drawn(readings, kind, power, rng)
    lean = _lean(kind, len(readings.value))
    odds = _mended(readings, new, kind, power, lean) - _mended(readings, now, kind, power, lean)
    taken = np.log(rng.random(PARTICLES)) < odds
    pick = lambda a, b: np.where(taken[:, None] if a.ndim > 1 else taken, a, b)  # noqa: E731
    return Particles(pick(new.theta, now.theta), pick(new.c, now.c), pick(new.low, now.low), pick(new.high, now.high))


def _lean(kind, count):
    """(S,) how strongly readings whose spread is (high - low) wide, and whose kinds explain them, pull low and high apart."""
    return kind.shape[1] - (kind[:, :, None] == np.arange(count)).any(1).sum(1)


def _mended(readings, at, kind, power, lean):
    """(S,) log of what (high - low) in the spread of the readings makes of the normal distribution drawn from."""
    scale = (at.high - at.low) / readings.span
    rows = np.arange(PARTICLES)[:, None]
    rest = at.theta[rows, kind] + readings.alike * at.c[rows, kind] - (1 - readings.place) * at.low[:, None] - readings.place * at.high[:, None]
    square = (rest**2 / _variance(readings)[np.arange(len(readings.place)), kind]).sum(1)
    safe = np.maximum(scale, 1e-12)
    return np.where(scale > 0, -0.5 * power * square * (safe**-2 - 1) - lean * (scale - 1), -np.inf)


def _drawn(readings, kind, power, rng):
    """`Particles` given the kind (S, K) of each object: normal, materials independent of each other but for low and high."""
    one = (kind[:, :, None] == np.arange(len(readings.value))).astype(float)
    weight = power / _variance(readings)[np.arange(len(readings.place)), kind]
    near, far, alike = 1 - readings.place, readings.place, readings.alike
    total = lambda *factors: np.einsum("sk,skm->sm", weight * np.prod(factors, axis=0) if factors else weight, one)  # noqa: E731
    a, b, d = total() + readings.doubt**-2.0, total(alike), total(alike**2) + 1
    cross = -np.stack([np.stack([total(near), total(far)], -1), np.stack([total(alike * near), total(alike * far)], -1)], -2)  # (S, M, 2, 2)
    block = np.linalg.inv(np.stack([np.stack([a, b], -1), np.stack([b, d], -1)], -2))
    pull = np.stack([np.broadcast_to(readings.value / readings.doubt**2, a.shape), np.zeros_like(a)], -1)
    ends = np.stack([near, far])
    inner = np.einsum("sk,ik,jk->sij", weight, ends, ends) - np.einsum("smai,smab,smbj->sij", cross, block, cross, optimize=True)
    right = -np.einsum("smai,smab,smb->si", cross, block, pull, optimize=True)
    right += _lean(kind, len(readings.value))[:, None] / readings.span * np.array([-1.0, 1.0])
    spread = np.linalg.inv(inner)
    line = np.einsum("sij,sj->si", spread, right) + np.einsum("sij,sj->si", np.linalg.cholesky(spread), rng.normal(size=right.shape))
    middle = np.einsum("smab,smb->sma", block, pull - np.einsum("smai,si->sma", cross, line))
    own = middle + np.einsum("smab,smb->sma", np.linalg.cholesky(block), rng.normal(size=middle.shape))
    return Particles(own[:, :, 0], own[:, :, 1], line[:, 0], line[:, 1])
