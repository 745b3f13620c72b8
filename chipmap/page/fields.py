"""The fields of an answer as the page shows them: quantity, unit, colours, and where the colour scale ends."""

from dataclasses import dataclass

import numpy as np

from chipmap.answer import at_pixels
from chipmap.report import si

# ending of a field's name -> quantity, unit, colours, quantile at which the colours end; the first that fits is taken
KINDS = (
    ("temperature_rise_k", "temperature rise", "K", "inferno", 1.0),
    ("pulse_rise_k", "temperature rise", "K", "inferno", 1.0),
    ("rise_per_power_k_m_w", "temperature rise for each W/m", "K m/W", "inferno", 1.0),
    ("heat_flux_per_power_1_m", "heat flux for each W/m", "1/m", "magma", 0.999),
    ("electrostatic_potential_v", "potential", "V", "viridis", 1.0),
    ("potential_v", "potential", "V", "viridis", 1.0),
    ("current_density_a_m2", "current density", "A/m²", "magma", 0.999),
    ("heat_flux_w_m2", "heat flux", "W/m²", "magma", 0.999),
    ("electric_field_v_m", "electric field", "V/m", "magma", 0.999),
    ("von_mises_pa", "von Mises stress", "Pa", "magma", 0.999),
    ("displacement_m", "displacement", "m", "viridis", 1.0),
)


@dataclass
class Field:
    """values (H, W), of pixels, in `unit`; low, high: where the colours end; clipped: whether some values lie beyond."""

    key: str
    physics: str
    quantity: str
    unit: str
    colours: str
    values: np.ndarray
    low: float
    high: float
    clipped: bool

    def scale(self):
        """(factor, unit) that make numbers of the colour bar readable."""
        return si(max(abs(self.low), abs(self.high)), self.unit)


def fields_of(answers):
    """{key: Field} of a dict of `answer.Answer`; vectors by their length, corners by the mean over each pixel."""
    found = {}
    for physics, answer in answers.items():
        corners = {name: _at_pixels(a) for name, a in answer.points.items()}
        for name, values in {**corners, **answer.cells}.items():
            kind = next((kind for kind in KINDS if name.endswith(kind[0])), None)
            if kind is None:
                continue
            size = np.linalg.norm(values, axis=2) if values.ndim == 3 else values
            _, quantity, unit, colours, clip = kind
            low, top = float(np.nanmin(size)), float(np.nanmax(size))
            high = float(np.nanquantile(size, clip)) if clip < 1 else top
            if not high > low:
                high = top if top > low else low + 1.0
            found[f"{physics}.{name}"] = Field(f"{physics}.{name}", physics, quantity, unit, colours, size, low, high, high < top)
    return found


def _at_pixels(corners):
    if corners.ndim == 2:
        return at_pixels(corners)
    return np.stack([at_pixels(corners[..., c]) for c in range(corners.shape[2])], axis=2)
