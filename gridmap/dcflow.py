"""Power flow on the lines, linear ("DC"): angles, flows, distribution factors, and what an interface can carry.

Flow of a branch = (angle at its start - angle at its end - its phase shift) / (reactance x tap ratio); losses, voltages and
reactive power are left out. Signs, taps and shifts as in R. D. Zimmerman and C. E. Murillo-Sanchez, "MATPOWER User's
Manual", section 3.7. Distribution factors as in A. J. Wood and B. F. Wollenberg, "Power Generation, Operation, and Control".
"""

import pathlib
import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.sparse
import scipy.sparse.csgraph
import scipy.sparse.linalg

from gridmap import InputError

# columns of the MATPOWER case format, version 2, in its order; further ones are ignored
BUS = ["bus", "type", "pd_mw", "qd_mvar", "gs_mw", "bs_mvar", "area", "vm_pu", "va_deg"]
BRANCH = ["from_bus", "to_bus", "r_pu", "x_pu", "b_pu", "rate_a_mw", "rate_b_mw", "rate_c_mw", "tap", "shift_deg", "status"]
GEN = ["bus", "pg_mw", "qg_mvar", "qmax_mvar", "qmin_mvar", "vg_pu", "base_mva", "status", "pmax_mw", "pmin_mw"]
DC_LINE = ["from_bus", "to_bus", "status", "from_mw", "to_mw"]
_NEEDED = {
    "bus": {"bus": None, "type": None, "pd_mw": 0.0, "gs_mw": 0.0, "va_deg": 0.0},
    "branch": {"from_bus": None, "to_bus": None, "x_pu": None, "rate_a_mw": 0.0, "tap": 0.0, "shift_deg": 0.0, "status": 1},
    "gen": {"bus": None, "pg_mw": None, "status": 1},
}
_REFERENCE, _ALONE = 3, 4  # bus types


@dataclass(frozen=True)
class Network:
    """A case made ready: N buses, L branches, G generators, in the order of their tables; what is out of service stays in
    the tables with zero flow. Made by `network`.

    bus (N,) numbers as given; start, end (L,) rows of bus; susceptance (L,) MW per radian, 0 out of service;
    shift (L,) radians; rating (L,) MW, infinite where 0 is given; load (N,) MW; generation (G,) MW, 0 out of service;
    generator_bus (G,) rows of bus; reference (N,) bool; angle (N,) radians, used at reference buses; island (N,) int, -1
    for buses out of service.
    """

    bus: np.ndarray
    start: np.ndarray
    end: np.ndarray
    susceptance: np.ndarray
    shift: np.ndarray
    rating: np.ndarray
    load: np.ndarray
    generation: np.ndarray
    generator_bus: np.ndarray
    generator_on: np.ndarray
    reference: np.ndarray
    angle: np.ndarray
    island: np.ndarray

    @property
    def incidence(self):
        """(L, N) sparse: 1 where a branch starts, -1 where it ends."""
        rows = np.arange(len(self.start))
        ones = np.ones(len(rows))
        return scipy.sparse.csr_array((np.r_[ones, -ones], (np.r_[rows, rows], np.r_[self.start, self.end])), (len(rows), len(self.bus)))

    @property
    def branch_matrix(self):
        """(L, N) sparse: angles in radians -> flows in MW, without shifts."""
        return scipy.sparse.diags_array(self.susceptance) @ self.incidence


@dataclass(frozen=True)
class Flow:
    """angle_deg (N,), flow_mw (L,) from start to end, generation_mw (G,), slack_mw: {reference bus: MW of its first unit}."""

    angle_deg: np.ndarray
    flow_mw: np.ndarray
    generation_mw: np.ndarray
    slack_mw: dict


@dataclass(frozen=True)
class InterfaceLimit:
    """limit_mw over the interface; injection_mw (N,) and flow_mw (L,) that reach it; binding: branches at their rating."""

    limit_mw: float
    injection_mw: np.ndarray
    flow_mw: np.ndarray
    binding: np.ndarray


def read_case(path):
    """(base_mva, bus, branch, gen) of a MATPOWER case file (.m, version 2), as DataFrames with the columns BUS, BRANCH, GEN."""
    text = re.sub(r"%.*", "", pathlib.Path(path).read_text(errors="replace"))
    base = re.search(r"mpc\.baseMVA\s*=\s*([\d.eE+-]+)", text)
    if base is None:
        raise InputError(f"{path}: has no mpc.baseMVA: give a MATPOWER case of version 2")
    return float(base[1]), *(_matrix(path, text, name, columns) for name, columns in (("bus", BUS), ("branch", BRANCH), ("gen", GEN)))


def read_dc_lines(path):
    """DataFrame[from_bus, to_bus, status, from_mw, to_mw] of the direct-current lines of a MATPOWER case file; empty where
    it has none. from_mw leaves the network at from_bus, to_mw (less the losses) comes back at to_bus."""
    text = re.sub(r"%.*", "", pathlib.Path(path).read_text(errors="replace"))
    if re.search(r"mpc\.dcline\s*=\s*\[\s*[\d-]", text) is None:
        return pd.DataFrame(columns=DC_LINE, dtype=float)
    return _matrix(path, text, "dcline", DC_LINE)


def with_dc_lines(bus, lines):
    """The bus table with the lines of `read_dc_lines` in service as load at one end and less load at the other."""
    on = lines[lines["status"] > 0]
    change = pd.concat([on.set_index("from_bus")["from_mw"], -on.set_index("to_bus")["to_mw"]]).groupby(level=0).sum()
    lost = np.setdiff1d(change.index, bus["bus"])
    if len(lost):
        raise InputError(f"a direct-current line ends at bus {int(lost[0])}, which there is not: correct it")
    return bus.assign(pd_mw=bus["pd_mw"] + bus["bus"].map(change).fillna(0.0))


def _matrix(path, text, name, columns):
    found = re.search(rf"mpc\.{name}\s*=\s*\[(.*?)\]", text, re.S)
    if found is None:
        raise InputError(f"{path}: has no mpc.{name}: give a MATPOWER case of version 2")
    rows = [row.replace(",", " ").split() for row in re.split(r"[;\n]", found[1].replace("...\n", " ")) if row.strip()]
    if len({len(row) for row in rows}) > 1 or rows and len(rows[0]) < len(columns):
        raise InputError(f"{path}: the rows of mpc.{name} have not one length of at least {len(columns)}: write the case again")
    return pd.DataFrame([[float(v) for v in row[:len(columns)]] for row in rows], columns=columns)


def network(base_mva, bus, branch, gen):
    """A `Network` from three tables: DataFrames with MATPOWER's quantities under the names in BUS, BRANCH and GEN (only
    bus, type; from_bus, to_bus, x_pu; bus, pg_mw are needed), or arrays in the column order of the MATPOWER case format.

    Several reference buses (type 3) of one island each hold their angle and supply what is missing at their bus.
    Raises InputError naming the row: unknown or repeated bus, reactance of zero, values that are not finite, an island
    without a reference bus, a reference bus without a unit.
    """
    bus, branch, gen = (_table(t, n) for t, n in ((bus, "bus"), (branch, "branch"), (gen, "gen")))
    number = bus["bus"].to_numpy(np.int64)
    if bus["bus"].duplicated().any():
        raise InputError(f"bus in row {int(bus['bus'].duplicated().to_numpy().argmax())}: number {int(bus['bus'][bus['bus'].duplicated()].iloc[0])} is taken: make the numbers unique")
    rows = pd.Series(np.arange(len(number)), index=number)
    start, end, at = _rows(rows, branch, "from_bus", "branch"), _rows(rows, branch, "to_bus", "branch"), _rows(rows, gen, "bus", "gen")
    live = bus["type"].to_numpy() != _ALONE
    on = (branch["status"].to_numpy() != 0) & live[start] & live[end]
    running = (gen["status"].to_numpy() > 0) & live[at]
    reactance = branch["x_pu"].to_numpy()
    if (on & (reactance == 0)).any():
        raise InputError(f"branch in row {int((on & (reactance == 0)).argmax())} has reactance 0: merge its buses or give x_pu")
    tap, rating = branch["tap"].to_numpy(), branch["rate_a_mw"].to_numpy()
    susceptance = np.zeros(len(branch))
    susceptance[on] = float(base_mva) / (reactance[on] * np.where(tap[on] == 0, 1.0, tap[on]))
    reference = (bus["type"].to_numpy() == _REFERENCE) & live
    island = _islands(len(bus), start[on], end[on], live)
    _check_references(number, island, reference, at[running])
    return Network(number, start, end, susceptance, np.radians(branch["shift_deg"].to_numpy()), np.where(rating > 0, rating, np.inf),
                   np.where(live, bus["pd_mw"] + bus["gs_mw"], 0.0), np.where(running, gen["pg_mw"], 0.0), at, running, reference,
                   np.radians(bus["va_deg"].to_numpy()), island)


def power_flow(net):
    """`Flow`: what a unit at each reference bus has to supply for all to balance, and where the power goes."""
    injection = np.bincount(net.generator_bus, net.generation, len(net.bus)) - net.load
    angle = _angles(net, injection)
    flow = net.susceptance * (net.incidence @ angle - net.shift)
    generation = net.generation.copy()
    slack = {}
    for b in np.flatnonzero(net.reference):
        first = int(np.flatnonzero(net.generator_on & (net.generator_bus == b))[0])
        generation[first] += (net.incidence.T @ flow)[b] - injection[b]
        slack[int(net.bus[b])] = float(generation[first])
    return Flow(np.degrees(angle), flow, generation, slack)


def transfer_factors(net):
    """(L, N) PTDF: MW more on each branch for one MW more into each bus, taken out at its island's reference bus. A bus
    out of service has zeros. Dense: 8 L N bytes."""
    return transfer_columns(net, np.arange(len(net.bus)))


def transfer_columns(net, buses):
    """(L, n) columns of `transfer_factors` for some buses: rows of net.bus."""
    keep, solve = _solver(net)
    place = np.full(len(net.bus), -1)
    place[keep] = np.arange(len(keep))
    factors, free = np.zeros((len(net.start), len(buses))), np.flatnonzero(place[buses] >= 0)
    if len(free):
        drive = np.zeros((len(keep), len(free)))
        drive[place[np.asarray(buses)[free]], np.arange(len(free))] = 1.0
        factors[:, free] = net.branch_matrix[:, keep] @ solve(drive)
    return factors


def outage_factors(net, ptdf=None):
    """(L, L) LODF: column k is what an outage of branch k sends to each branch, per MW it carried; -1 on the diagonal.

    The column of a branch whose outage splits its island is NaN: no flow takes its place. That of a branch out of service
    is 0 but for its diagonal.
    """
    ptdf = transfer_factors(net) if ptdf is None else ptdf
    between = ptdf[:, net.start] - ptdf[:, net.end]
    own = np.diag(between).copy()
    bridge = bridges(net)
    with np.errstate(divide="ignore", invalid="ignore"):
        factors = between / (1.0 - own)
    factors[:, bridge] = np.nan
    np.fill_diagonal(factors, -1.0)
    return factors


def bridges(net):
    """(L,) bool: branches in service whose outage splits their island."""
    from gridmap.islands import bridge_edges

    on = np.flatnonzero(net.susceptance != 0)
    found = np.zeros(len(net.start), bool)
    found[on] = bridge_edges(len(net.bus), net.start[on], net.end[on])
    return found


def interface_limit(net, branches, signs, low_mw, high_mw):
    """`InterfaceLimit`: the most that can flow over an interface, no branch above its rating (linear program after
    P. R. Brown et al., arXiv 2308.03612).

    branches: rows of branches that make the interface; signs: +1 where a branch's start is on the sending side, else -1.
    low_mw, high_mw: (N,) MW, bounds of the injection (generation - load) at each bus; in each island the injections
    balance. Raises InputError where no injections fit bounds and ratings, or where nothing bounds the flow.
    """
    from scipy.optimize import linprog

    matrix, shifted = net.branch_matrix, net.susceptance * net.shift
    to_injection = (net.incidence.T @ matrix).tocsr()
    base = net.incidence.T @ shifted  # injection = to_injection @ angle - base
    low, high = (np.where(net.island < 0, 0.0, np.broadcast_to(np.asarray(a, float), net.bus.shape)) for a in (low_mw, high_mw))
    rated = np.isfinite(net.rating) & (net.susceptance != 0)
    bounded = [(to_injection[np.isfinite(high)], (high + base)[np.isfinite(high)]), (-to_injection[np.isfinite(low)], (-low - base)[np.isfinite(low)]),
               (matrix[rated], (net.rating + shifted)[rated]), (-matrix[rated], (net.rating - shifted)[rated])]
    toward = np.zeros(len(net.start))
    np.add.at(toward, np.asarray(branches, int), np.asarray(signs, float))
    fixed = net.reference | (net.island < 0)
    answer = linprog(-(matrix.T @ toward), A_ub=scipy.sparse.vstack([b[0] for b in bounded]), b_ub=np.concatenate([b[1] for b in bounded]),
                     bounds=[(0, 0) if f else (None, None) for f in fixed], method="highs")
    if answer.status != 0:
        raise InputError(f"the interface has no limit to find ({answer.message.strip()}): check injection bounds and ratings")
    flow = matrix @ answer.x - shifted
    at_rating = rated & (np.abs(flow) >= net.rating * (1 - 1e-7))
    return InterfaceLimit(float(toward @ flow), to_injection @ answer.x - base, flow, np.flatnonzero(at_rating))


# ---- checks and the solver


def _table(table, name):
    columns = {"bus": BUS, "branch": BRANCH, "gen": GEN}[name]
    if not isinstance(table, pd.DataFrame):
        table = np.atleast_2d(np.asarray(table, float))
        if table.shape[1] < len(columns):
            raise InputError(f"{name}: {table.shape[1]} columns: a MATPOWER {name} table has at least {len(columns)}")
        table = pd.DataFrame(table[:, :len(columns)], columns=columns)
    out = {}
    for column, default in _NEEDED[name].items():
        if column not in table and default is None:
            raise InputError(f"{name}: has no column {column}: it needs {', '.join(c for c, d in _NEEDED[name].items() if d is None)}")
        values = table[column].to_numpy(float) if column in table else np.full(len(table), float(default))
        if not np.isfinite(values).all():
            raise InputError(f"{name} in row {int((~np.isfinite(values)).argmax())}: {column} is not finite: give a number")
        out[column] = values
    return pd.DataFrame(out)


def _rows(rows, table, column, name):
    found = rows.reindex(table[column].to_numpy(np.int64)).to_numpy(float)
    if np.isnan(found).any():
        row = int(np.isnan(found).argmax())
        raise InputError(f"{name} in row {row}: there is no bus {int(table[column].iloc[row])}: correct {column}")
    return found.astype(np.int64)


def _islands(count, start, end, live):
    graph = scipy.sparse.coo_array((np.ones(len(start)), (start, end)), (count, count))
    return np.where(live, scipy.sparse.csgraph.connected_components(graph, directed=False)[1], -1)


def _check_references(number, island, reference, generator_bus):
    blind = np.setdiff1d(island[island >= 0], island[reference])
    if len(blind):
        member = int(number[np.flatnonzero(island == blind[0])[0]])
        raise InputError(f"the island of bus {member} has no reference bus: give one bus of it type 3, or type 4 to leave a bus out")
    idle = np.setdiff1d(np.flatnonzero(reference), generator_bus)
    if len(idle):
        raise InputError(f"the reference bus {int(number[idle[0]])} has no unit in service: move the reference or add one")


def _solver(net):
    """Buses whose angle is free, and a function that solves B x = b for them."""
    keep = np.flatnonzero(~net.reference & (net.island >= 0))
    if not len(keep):
        return keep, lambda b: b
    full = (net.incidence.T @ net.branch_matrix).tocsc()
    return keep, scipy.sparse.linalg.splu(full[keep][:, keep].tocsc()).solve


def _angles(net, injection):
    keep, solve = _solver(net)
    angle = np.where(net.reference, net.angle, 0.0)
    drive = injection + net.incidence.T @ (net.susceptance * (net.shift - net.incidence @ angle))
    if len(keep):
        angle[keep] += solve(drive[keep])
    if not np.isfinite(angle).all():
        raise InputError("the power flow has no answer: reactances of one loop cancel; check negative x_pu")
    return angle
