"""What `gridmap adequacy` and its sisters write: layers, tables, results.json, and the lines at the end."""

import numpy as np
import pandas as pd
from cukernels.run import write_json

from gridmap import geofiles, layers
from gridmap.adequacy.result import NAMES

CHRONIC = 0.1  # share of the hours: a region short more often has a hole in its data rather than bad luck
SOUND = "regions not chronic"
HOW = {
    "lole_hours": ("h", "mean over samples of the hours short"),
    "lole_days": ("days", "mean over samples of the days short at their tightest hour"),
    "lold": ("days", "mean over samples of the days with any hour short"),
    "lolf": ("shortages", "mean over samples of the shortages that begin"),
    "mean_duration_h": ("h", "hours short / shortages"),
    "eue_mwh": ("MWh", "mean over samples of the energy not served"),
    "neue_ppm": ("ppm", "of the energy asked for"),
    "cvar_mwh": ("MWh", "mean energy not served of the worst twentieth of the samples"),
    "worst_mw": ("MW", "mean over samples of the worst hour"),
}
CHANGED = ("lole_hours", "lole_days", "lold", "lolf", "eue_mwh")
CONTROLLED_UNITS = 3000  # of a system small enough for the exact copper plate
STAMP = "%Y-%m-%dT%H:%MZ"


def layers_of(inputs, found, difference=None):
    """{layer: GeoDataFrame}: "adequacy" coloured by LOLE, "adequacy_energy" by EUE, "adequacy_change" by what a scenario changes,
    with the columns that fields.csv names for each, a row a region."""
    crs, shapes = layers.shapes(inputs)
    R, kept = found.regions, found.worst_hours()
    numbers = found.table().iloc[:R].drop(columns=["place", "kind"])
    for name in ("lole_hours", "eue_mwh"):
        each = [getattr(found[place], name) for place in found.places[:R]]
        numbers = numbers.assign(**{f"{name}_low": [e.low for e in each], f"{name}_high": [e.high for e in each]})
    into = sum(np.bincount(inputs.corridors[end], inputs.corridors[way], R) for end, way in (("head", "forward_mw"), ("tail", "backward_mw")))
    known = pd.DataFrame(inputs.regions)[["region_id", "name", "state"]].reset_index(drop=True)
    table = known.assign(demand_mwh=found.energy_mwh[:R], import_limit_mw=into, worst_hour_mw=found.worst_kw[0] / 1e3 if len(kept) else 0.0,
                         chronic=(numbers["lole_hours"] > CHRONIC * found.count.shape[1]).astype(int)).join(numbers)
    shown = {name: layers.layer(name, "adequacy", table, shapes, crs) for name in ("adequacy", "adequacy_energy")}
    if difference is not None:
        shown["adequacy_change"] = layers.layer("adequacy_change", "adequacy", known.join(difference.iloc[:R].reset_index(drop=True)), shapes, crs)
    return shown


def write(folder, inputs, shown, found, hours, after=None, difference=None):
    """Everything but the map; returns what results.json holds."""
    geofiles.write_geopackage(folder / "adequacy.gpkg", shown)
    geofiles.write_geoparquet(folder, shown)
    layer = shown["adequacy"].drop(columns="geometry")
    _csv(folder / "regions.csv", layer)
    _csv(folder / "groups.csv", found.table().iloc[found.regions:])
    explained = layers.explanations("adequacy")
    explained[explained["layer"].isin(shown)].to_csv(folder / "columns.csv", index=False)
    inputs.report.to_csv(folder / "repair.csv", index=False)
    _csv(folder / "distributions.csv", distributions(found))
    _csv(folder / "worst_hours.csv", worst_hours(found, hours))
    system = found.system
    _csv(folder / "hours.csv", pd.DataFrame(dict(hour_utc=hours.strftime(STAMP), lolp=system.lolp, lolp_error=system.lolp_error,
                                                 eue_mwh=system.eue_hour_mwh, eue_mwh_error=system.eue_hour_error)))
    chronic = layer[layer["chronic"] == 1]
    results = {
        "from": hours[0].strftime(STAMP), "hours": len(hours), "regions": found.regions, "samples": found.samples, "seed": found.seed,
        **{place: numbers(found, place) for place in found.places[found.regions:]},
        "chronic": {"value": len(chronic), "unit": "regions", "how": f"short in more than {CHRONIC:.0%} of the hours: look for holes in the data first",
                    "regions": list(chronic["region_id"]), "eue_mwh": float(chronic["eue_mwh"].sum())},
        "worst": layer.nlargest(10, "eue_mwh").query("eue_mwh > 0").to_dict("records"),
    }
    if difference is not None:
        _csv(folder / "change.csv", difference)
        _csv(folder / "after.csv", after.table())
        results["change"] = {place: _changed(row) for place, row in difference.set_index("place").iloc[found.regions:].iterrows()}
        results["after"] = {place: numbers(after, place) for place in after.places[after.regions:]}
    write_json(folder / "results.json", results)
    return results


def distributions(found):
    """DataFrame, a row a place and class: how long shortages last and how deep the hours short are, a year, with errors."""
    parts = [found[place].distribution(what).assign(place=place, what=what) for place in found.places for what in ("duration_h", "depth_mw")]
    return pd.concat(parts, ignore_index=True)[["place", "what", "from", "upto", "a_year", "error"]]


def worst_hours(found, hours):
    """DataFrame, the worst hours of all samples, a row for each region that lacks then: rank, sample, hour_utc, region_id, unserved_mw."""
    table = found.worst_hours()
    rank, region = np.nonzero(found.worst_kw)
    return pd.DataFrame(dict(rank=rank + 1, sample=table["sample"].to_numpy()[rank], hour_utc=hours[table["hour"].to_numpy()[rank]].strftime(STAMP),
                             region_id=np.array(found.places)[region], unserved_mw=found.worst_kw[rank, region] / 1e3))


def numbers(found, name):
    place, told = found[name], {}
    small = len(found._expected._problem.items.column) <= CONTROLLED_UNITS
    for name in NAMES:
        unit, how = HOW[name]
        told[name] = _number(getattr(place, name), unit, how)
        if small and name in ("lole_hours", "eue_mwh") and found.expected is not None:
            told[f"{name}_controlled"] = _number(place.controlled(name), unit, f"{how}, with the exact copper plate as control variate")
    return told


def _number(found, unit, how):
    return {"value": found.value, "unit": unit, "standard_error": found.error, "lower": found.low, "upper": found.high, "how": how}


def _changed(row):
    return {name: {"value": row[name], "unit": HOW[name][0], "standard_error": row[f"{name}_error"], "how": "after less before, the same draws in both"} for name in CHANGED}


def _csv(path, table):
    table.to_csv(path, index=False, float_format="%.6f")


def headline(results, out):
    system = results["system"]
    yield f"{results['hours']:,} hours from {results['from']}, {results['regions']:,} regions, {results['samples']:,} samples"
    for name in ("lole_hours", "eue_mwh", "neue_ppm"):
        number = system[name]
        yield f"  {name:<12} {number['value']:>14,.3f} {number['unit']}, standard error {number['standard_error']:,.3f}"
    chronic = results["chronic"]
    if chronic["value"]:
        yield f"  {chronic['eue_mwh']:,.0f} MWh of it in {chronic['value']} regions, {chronic['how']}"
    if SOUND in results:
        lole, eue = results[SOUND]["lole_hours"], results[SOUND]["eue_mwh"]
        yield f"  in the others {lole['value']:,.3f} h (standard error {lole['standard_error']:,.3f}), {eue['value']:,.0f} MWh ({eue['standard_error']:,.0f})"
    for place, change in results.get("change", {}).items():
        lole, eue = change["lole_hours"], change["eue_mwh"]
        yield (f"  the scenario changes {place}: {lole['value']:+,.3f} h (standard error {lole['standard_error']:,.3f}), "
               f"{eue['value']:+,.1f} MWh ({eue['standard_error']:,.1f})")
    yield f"results: {out}"


def write_fits(folder, inputs, found, standard, metric, hours, wish):
    names = pd.DataFrame(inputs.regions)[["region_id", "name", "state"]].astype({"region_id": str}).set_index("region_id").loc[list(found)]
    table = names.assign(load_mw=[f.mw for f in found.values()], load_mw_low=[f.low for f in found.values()], load_mw_high=[f.high for f in found.values()],
                         as_it_is=[f.trials["value"].iloc[0] + f.goal for f in found.values()], as_it_is_error=[f.trials["error"].iloc[0] for f in found.values()])
    _csv(folder / "fits.csv", table.reset_index())
    _csv(folder / "trials.csv", pd.concat([f.trials.assign(region_id=r) for r, f in found.items()], ignore_index=True))
    results = {"standard": standard, "metric": metric, "hours": len(hours), "samples": wish.samples, "seed": wish.seed,
               "regions": {r: {"value": f.mw, "unit": "MW", "lower": f.low, "upper": f.high, "now": table.loc[r, "as_it_is"],
                               "how": f"steady load more in the region at which its {metric} passes {standard:g} a year"} for r, f in found.items()}}
    write_json(folder / "results.json", results)
    return results


def fits_headline(results, out):
    for region, number in results["regions"].items():
        now = f"{results['metric']} is {number['now']:.3f} in the {results['hours']:,} hours as it is"
        yield (f"  {region}: {number['value']:,.0f} MW (95 %: {number['lower']:,.0f} to {number['upper']:,.0f}) before {results['standard']:g} {results['metric']} a year; {now}"
               if number["value"] else f"  {region}: nothing fits, {now}")
    yield f"results: {out}"


def write_worth(folder, region, metric, carried, firm, hours, wish):
    _csv(folder / "trials.csv", pd.concat([carried.trials.assign(what="load"), firm.trials.assign(what="firm")], ignore_index=True))
    told = lambda f, how: {"value": f.mw, "unit": "MW", "lower": f.low, "upper": f.high, "how": how}  # noqa: E731
    results = {"region": region, "metric": metric, "hours": len(hours), "samples": wish.samples, "seed": wish.seed,
               "load_carried_mw": told(carried, f"steady load more in the region with the system's {metric} as before the scenario"),
               "firm_capacity_mw": told(firm, f"capacity that never fails, in the region, with the {metric} of the scenario")}
    write_json(folder / "results.json", results)
    return results


def worth_headline(results, out):
    for name, words in (("load_carried_mw", "load carried (ELCC)"), ("firm_capacity_mw", "firm capacity (EFC)")):
        number = results[name]
        yield f"  {words} in {results['region']}: {number['value']:,.1f} MW (95 %: {number['lower']:,.1f} to {number['upper']:,.1f}), by {results['metric']}"
    yield f"results: {out}"
