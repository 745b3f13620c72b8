"""How an energy of deformation changes as edges move: the sensitivity of stiffness and strain energy to where they are.

At an edge the traction (s, n) and the stretch e along it are the same on both sides. An edge that moves, with the
displacements held at the frame, changes the energy by the jump across it of

    g(s, e, n) = -(s + p - lam e)^2 / (2 M) + M e^2 / 2 - p e - n^2 / (2 mu) + w        M = lam + 2 mu

times the area it sweeps: the energy density less the work of the traction on the strain across (G. Allaire, Conception optimale de
structures, 2007, chapter 6; lam and mu are those of plane elasticity, p the stress that would undo the free expansion, w the
energy at no strain). The solution at hand serves all edges; it is its own adjoint.
"""

import numpy as np
from cukernels.backend import to_host


def energy_changes(edges, lam, mu, strain, stress, area, pressure=None, resting=None):
    """(F, L, L) twice the change of the energies of L deformations, and of each two of them, for each pixel that a face moves.

    edges: `edges.Edges`. lam, mu: (H, W), 0 in voids. strain: L times (3, H, W) xx, yy and xy (engineering); stress: likewise
    xx, yy, xy, of the whole. area: (F,) that each face sweeps. pressure, resting: (H, W) p and w of a thermal load, for L = 1.
    """
    inside, outside = (edges.row, edges.column), edges.beyond
    sides = [_Side(edges.normal, at, lam, mu, strain, stress, pressure, resting) for at in (inside, outside)]
    a, b = sides
    # a void has no strain to read, and no traction
    for one, other in ((a, b), (b, a)):
        one.state = np.where(one.void[:, None, None], other.state, one.state)
    open_side = (a.void | b.void)[:, None]
    for side in sides:
        side.state[:, :, 0], side.state[:, :, 2] = np.where(open_side, 0, side.state[:, :, 0]), np.where(open_side, 0, side.state[:, :, 2])
    form = a.quadratic() - b.quadratic()
    product = np.einsum("flc,fcd,fmd->flm", a.state, form, b.state)
    total = product + product.swapaxes(1, 2)
    if pressure is not None:
        slope, rest = a.linear() - b.linear(), a.constant() - b.constant()
        mean = (a.state[:, 0] + b.state[:, 0]) / 2
        total[:, 0, 0] += 2 * ((slope * mean).sum(axis=1) + rest)
    return total * area[:, None, None]


def thermal_energies(E, nu, alpha, temperature_change, plane):
    """(p, w) of a change of temperature, (H, W) each: the stress that would undo the free expansion, and the energy of pixels that are held."""
    free = np.where(E > 0, E, 0) * alpha * temperature_change
    solid_nu = np.where(E > 0, nu, 0)
    pressure = free / (1 - 2 * solid_nu if plane == "strain" else 1 - solid_nu)
    return pressure, pressure * alpha * temperature_change * (1.5 if plane == "strain" else 1.0)


class _Side:
    """What one side of each face says: state (F, L, 3) of normal stress, stretch along the edge and shear stress."""

    def __init__(self, normal, at, lam, mu, strain, stress, pressure, resting):
        x, y = normal.T
        e, s = (np.array([to_host(part)[:, at[0], at[1]] for part in fields]) for fields in (strain, stress))
        along = e[:, 0] * y * y + e[:, 1] * x * x - e[:, 2] * x * y
        through = s[:, 0] * x * x + s[:, 1] * y * y + 2 * s[:, 2] * x * y
        shear = (s[:, 1] - s[:, 0]) * x * y + s[:, 2] * (x * x - y * y)
        self.state = np.stack([through, along, shear], axis=2).swapaxes(0, 1)
        self.lam, self.mu = to_host(lam)[at], to_host(mu)[at]
        self.void = self.mu == 0
        self.p, self.w = (None, None) if pressure is None else (to_host(pressure)[at], to_host(resting)[at])
        self.soft = np.divide(1.0, self.lam + 2 * self.mu, out=np.zeros_like(self.mu), where=~self.void)

    def quadratic(self):
        """(F, 3, 3) of g."""
        form = np.zeros((len(self.mu), 3, 3))
        form[:, 0, 0] = -self.soft / 2
        form[:, 0, 1] = form[:, 1, 0] = self.lam * self.soft / 2
        form[:, 1, 1] = (self.lam + 2 * self.mu - self.lam ** 2 * self.soft) / 2
        form[:, 2, 2] = -np.divide(0.5, self.mu, out=np.zeros_like(self.mu), where=~self.void)
        return form

    def linear(self):
        return np.stack([-self.p * self.soft, self.p * (self.lam * self.soft - 1), np.zeros_like(self.p)], axis=1)

    def constant(self):
        return self.w - self.p ** 2 * self.soft / 2
