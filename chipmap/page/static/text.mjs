// Lengths and other numbers as an engineer reads them.
import {number} from "/shared/common.mjs";

const PREFIX = {"-15": "f", "-12": "p", "-9": "n", "-6": "µ", "-3": "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T"};

/** A value with an SI prefix before its unit: si(1.2e-15, "F") -> "1.2 fF". */
export function si(value, unit, digits = 4) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const [factor, prefix] = scale(Math.abs(value));
  return `${number(value / factor, digits)} ${prefix}${unit}`;
}

/** [factor, prefix] that brings a size between 1 and 1000. */
export function scale(size) {
  if (!(size > 0)) return [1, ""];
  const power = Math.min(Math.max(Math.floor(Math.log10(size) / 3 + 1e-12) * 3, -15), 12);
  return [10 ** power, PREFIX[power]];
}

/** A length of so many nm; of pixels where the picture has no size. */
export function length(nm, sized = true, digits = 4) {
  if (!sized) return `${number(nm, digits)} px`;
  const size = Math.abs(nm);
  if (size >= 1e6) return `${number(nm / 1e6, digits)} mm`;
  return size >= 1e4 ? `${number(nm / 1e3, digits)} µm` : `${number(nm, digits)} nm`;
}

/** A length with its standard uncertainty, to the digits that it deserves: "115.9 ± 7.2 nm". */
export function uncertain(nm, sd, sized = true) {
  const [factor, unit] = !sized ? [1, "px"] : Math.abs(nm) >= 1e4 ? [1e3, "µm"] : [1, "nm"];
  const doubt = sd / factor, decimals = doubt > 0 ? Math.min(Math.max(1 - Math.floor(Math.log10(doubt)), 0), 4) : 2;
  const fixed = v => v.toLocaleString("en-US", {maximumFractionDigits: decimals, minimumFractionDigits: decimals});
  return `${fixed(nm / factor)} ± ${fixed(doubt)} ${unit}`;
}

/** An area of so many nm². */
export function area(nm2, sized = true) {
  if (!sized) return `${number(nm2)} px²`;
  return nm2 >= 1e5 ? `${number(nm2 / 1e6)} µm²` : `${number(nm2)} nm²`;
}

/** An area with its standard uncertainty. */
export function uncertainArea(nm2, sd, sized = true) {
  const [factor, unit] = !sized ? [1, "px²"] : nm2 >= 1e5 ? [1e6, "µm²"] : [1, "nm²"];
  const doubt = sd / factor, decimals = doubt > 0 ? Math.min(Math.max(1 - Math.floor(Math.log10(doubt)), 0), 5) : 2;
  const fixed = v => v.toLocaleString("en-US", {maximumFractionDigits: decimals, minimumFractionDigits: decimals});
  return `${fixed(nm2 / factor)} ± ${fixed(doubt)} ${unit}`;
}

export const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)} %`;
