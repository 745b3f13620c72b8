"""Finite elements on the picture itself: one bilinear element a pixel, one property a pixel.

Axis 0 is rows: y, down, pixel size dy. Axis 1 is columns: x, to the right, pixel size dx. Tensors put x first. All
values are per unit depth into the picture.
"""

from ..stress import Solid, effective_stiffness, thermal_stress
from .conduction import Conductance, Conductor, Effective, Solved, conductance, effective_conductivity
from .evolution import Transient, transient
from .junction import ThermalResistance, thermal_resistance
from .laminate import laminate
from .layers import layered
from .terminals import Capacitance, Network, Resistance, capacitance, network, resistance

__all__ = ["Capacitance", "Conductance", "Conductor", "Effective", "Network", "Resistance", "Solid", "Solved", "ThermalResistance",
           "Transient", "capacitance", "conductance", "effective_conductivity", "effective_stiffness", "laminate", "layered", "network", "resistance",
           "thermal_resistance", "thermal_stress", "transient"]
