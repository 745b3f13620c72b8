"""Tables and numbers of a run as CSV and JSON. Every number says its unit, its capacity basis and its hour."""

from cukernels.run import write_json

from gridmap import layers, line_limits, provenance

WORST = 10
TOTALS = {
    "supply_mw": "sum over regions of what their plants can give in the hour",
    "demand_mw": "sum over regions of the demand in the hour",
    "isolated_deficit_mw": "sum over regions of demand above supply, if nothing flowed",
    "residual_deficit_mw": "least total unserved demand of all flows within the corridor limits (maximum flow, exact)",
}

YEAR_TOTALS = {
    "supply_mwh": "sum over regions and hours of what their plants could have given",
    "demand_mwh": "sum over regions and hours",
    "isolated_mwh": "sum over regions and hours of demand above supply, if nothing flowed",
    "unserved_mwh": "sum over hours of the least total unserved demand within the corridor limits (maximum flow, exact)",
}
ARTEFACT = "see their flag"
STEP = 1e-6  # MWh: smaller changes are rounding


def write_tables(folder, shown, inputs):
    """regions.csv, pockets.csv, corridors.csv (the layers without their shapes), columns.csv (what each column is, with its
    unit), limits.csv and limits.json (where limits come from the lines: every estimate beside the given ones, and how they
    agree), repair.csv (what was done to each row), account.csv (where every MW went), sources.csv (the layout of every
    file and the column behind each field) and provenance.parquet (which rows of
    which file each region rests on)."""
    layers.explanations(shown["regions"].attrs["run"]).to_csv(folder / "columns.csv", index=False)
    for name in ("regions", "pockets", "corridors"):
        if name in shown:
            shown[name].drop(columns="geometry").to_csv(folder / f"{name}.csv", index=False, float_format="%.6f")
    if inputs.beside is not None:
        inputs.beside.to_csv(folder / "limits.csv", index=False, float_format="%.3f")
        write_json(folder / "limits.json", {name: {"counts": says, **(found or {"pairs": 0})} for (name, says), found in zip(
            line_limits.ESTIMATES.items(), line_limits.agreement(inputs.beside).values())})
    inputs.report.to_csv(folder / "repair.csv", index=False)
    inputs.account.to_csv(folder / "account.csv", index=False)
    inputs.sources.to_csv(folder / "sources.csv", index=False)
    provenance.rows(inputs).to_parquet(folder / provenance.FILE, index=False, compression="zstd")


def write_results(path, shown, found):
    """results.json of an hour: totals, the largest pockets, the corridors worth most. Returns what it wrote."""
    regions, pockets, corridors = shown["regions"], shown["pockets"], shown["corridors"]
    hour = _stamp(found.hour)

    def number(value, unit, how):
        return {"value": float(value), "unit": unit, "basis": found.basis, "hour": hour, "how": how}

    artefacts = regions["residual_deficit_mw"][regions["artefact"].astype(bool)].sum()
    results = {
        "hour": hour,
        "basis": found.basis,
        "basis_counts": found.says,
        "regions": len(regions),
        **{name: number(regions[name].sum(), "MW", how) for name, how in TOTALS.items()},
        "artefact_deficit_mw": number(artefacts, "MW", "part of residual_deficit_mw in regions whose data contradict the world: " + ARTEFACT),
        "pockets": {**number(len(pockets), "pockets", "connected regions that lack one share of their demand behind full corridors"),
                    "worst": _rows(pockets.head(WORST))},
        "bottlenecks": {**number((corridors["bottleneck"] > 0).sum(), "corridors", "at their limit into a pocket in every flow that serves the most"),
                        "worst": _rows(corridors.nlargest(WORST, "worth_mw").query("worth_mw > 0"))},
    }
    if found.groups is not None:
        results["group_limits"] = {**number(found.groups["full"].sum(), "interfaces", "between groups of zones at their limit, of those held"),
                                   "interfaces": found.groups.to_dict("records")}
    results["residual_deficit_mw"].update(_doubt(results["residual_deficit_mw"], results["artefact_deficit_mw"]))
    write_json(path, results)
    return results


def write_hours(folder, found):
    """hours.csv: the totals of every hour of a chronicle.Chronicle."""
    found.hours.to_csv(folder / "hours.csv", index=False, float_format="%.6f", date_format="%Y-%m-%dT%H:%MZ")


def write_year(path, shown, found):
    """results.json of a year: its energy, its worst hour, the largest pockets, the corridors worth most."""
    regions, pockets, corridors, hours = shown["regions"], shown["pockets"], shown["corridors"], found.hours
    spell = f"{found.year}, {len(hours)} hours"

    def number(value, unit, how):
        return {"value": float(value), "unit": unit, "basis": found.basis, "hours": spell, "how": how}

    worst = hours.loc[hours["unserved_mw"].idxmax()]
    results = {
        "year": found.year,
        "basis": found.basis,
        "basis_counts": found.says,
        "regions": len(regions),
        **{name: number(regions[name].sum(), "MWh", how) for name, how in YEAR_TOTALS.items()},
        "artefact_mwh": number(regions["unserved_mwh"][regions["artefact"].astype(bool)].sum(), "MWh",
                               "part of unserved_mwh in regions whose data contradict the world: " + ARTEFACT),
        "peak_demand_mw": {**number(hours["demand_mw"].max(), "MW", "highest hourly sum over regions"),
                           "hour": _stamp(hours.loc[hours["demand_mw"].idxmax(), "hour"])},
        "worst_hour": {**number(worst["unserved_mw"], "MW", "highest hourly sum of unserved demand"), "hour": _stamp(worst["hour"])},
        "regions_short": number((regions["hours_short"] > 0).sum(), "regions", "short in at least one hour"),
        "pockets": {**number(len(pockets), "pockets", "followed through the year by the region in each that goes short of the most energy"),
                    "worst": _rows(pockets.head(WORST))},
        "bottlenecks": {**number((corridors["hours_full"] > 0).sum(), "corridors", "at their limit into a pocket in at least one hour"),
                        "worst": _rows(corridors.nlargest(WORST, "worth_mwh_per_mw").query("worth_mwh_per_mw > 0"))},
    }
    results["unserved_mwh"].update(_doubt(results["unserved_mwh"], results["artefact_mwh"]))
    write_json(path, results)
    return results


def write_where(path, shown, found):
    """results.json of a siting.Siting: how many regions could take the size asked about, and where there is most room."""
    regions = shown["regions"]
    spell = [_stamp(hour) for hour in found.hours]

    def number(value, unit, how):
        return {"value": float(value), "unit": unit, "basis": found.basis, "hours": len(spell), "how": how}

    doubtful = regions["artefact"].astype(bool)
    results = {
        "size_mw": found.mw, "hours": spell, "basis": found.basis, "basis_counts": found.says, "regions": len(regions),
        "load_fits": {**number(regions["load_fits"].sum(), "regions", "a load of size_mw goes in all the hours with everybody's unserved demand as it was"),
                      "in_doubt": int((regions["load_fits"].astype(bool) & doubtful).sum()),
                      "most": _rows(regions[~doubtful].nlargest(WORST, "load_mw"))},
        "load_median_mw": number(regions["load_mw"].median(), "MW", "median over regions of the largest load"),
        "plant_fits": {**number(regions["plant_fits"].sum(), "regions", "all of a firm plant of size_mw can be used in all the hours"),
                       "most": _rows(regions[~doubtful].nlargest(WORST, "plant_mw"))},
        "relief": {**number((regions["relief_mwh"] > 0).sum(), "regions", "where a plant of size_mw lowers the total unserved demand"),
                   "most": _rows(regions[~doubtful].nlargest(WORST, "relief_mwh").query("relief_mwh > 0"))},
        "unserved_mw": number(found.unserved_mw.max(), "MW", "least total unserved demand of the worst of the hours, before anything new"),
    }
    write_json(path, results)
    return results


def where_headline(results, out):
    """Lines for the terminal: how many regions could take it."""
    yield f"{len(results['hours'])} hours, {results['regions']:,} regions, {results['basis']} capacity"
    yield f"  a load of {results['size_mw']:,g} MW goes in {results['load_fits']['value']:,.0f} regions (median room {results['load_median_mw']['value']:,.0f} MW)"
    yield f"  a plant of that size can be used in {results['plant_fits']['value']:,.0f} and lowers the total unserved in {results['relief']['value']:,.0f}"
    yield f"results: {out}"


def write_compare(path, shown, found):
    """results.json of a scenario.Difference: totals before and after, and where it changes most."""
    regions, hours = shown["regions"], found.hours

    def number(value, unit, how):
        return {"value": float(value), "unit": unit, "basis": found.basis, "hours": len(hours), "how": how}

    before, after = hours["before_mw"].sum(), hours["after_mw"].sum()
    results = {
        "hours": [_stamp(hour) for hour in hours["hour"]], "basis": found.basis, "basis_counts": found.says, "regions": len(regions),
        "before_mwh": number(before, "MWh", "least total unserved demand of the hours, added"),
        "after_mwh": number(after, "MWh", "the same with the changes"),
        "change_mwh": number(after - before, "MWh", "after less before"),
        "supply_change_mwh": number(regions["supply_change_mwh"].sum(), "MWh", "what all plants could give, after less before"),
        "demand_change_mwh": number(regions["demand_change_mwh"].sum(), "MWh", "after less before"),
        "worse": {**number((regions["change_mwh"] > STEP).sum(), "regions", "with more unserved demand than before"),
                  "most": _rows(regions[regions["change_mwh"] > STEP].nlargest(WORST, "change_mwh"))},
        "better": {**number((regions["change_mwh"] < -STEP).sum(), "regions", "with less unserved demand than before"),
                   "most": _rows(regions[regions["change_mwh"] < -STEP].nsmallest(WORST, "change_mwh"))},
    }
    write_json(path, results)
    return results


def compare_headline(results, out):
    """Lines for the terminal: what changed."""
    before, after, change = (results[name]["value"] / 1e3 for name in ("before_mwh", "after_mwh", "change_mwh"))
    yield f"{len(results['hours'])} hours, {results['regions']:,} regions, {results['basis']} capacity"
    yield f"  unserved {before:,.3f} GWh before, {after:,.3f} GWh after: {change:+,.3f} GWh"
    yield f"  worse off {results['worse']['value']:,.0f} regions, better off {results['better']['value']:,.0f}"
    yield f"results: {out}"


def write_matches(folder, found, report):
    """matches.csv, left_first.csv, left_second.csv, coverage.csv, repair.csv and results.json of a match.Matches."""
    found.pairs.to_csv(folder / "matches.csv", index=False, float_format="%.4f")
    left = {name: side[~side["matched"]].drop(columns="matched") for name, side in (("first", found.first), ("second", found.second))}
    for name, table in left.items():
        table.to_csv(folder / f"left_{name}.csv", index=False, float_format="%.6f")
    found.coverage.to_csv(folder / "coverage.csv", index=False, float_format="%.4f")
    report.to_csv(folder / "repair.csv", index=False)
    results = {
        "pairs": found.pairs["kind"].value_counts().to_dict(),
        **{name: {"plants": len(side), "left_over": len(left[name]), "mw": float(side["mw"].sum()), "mw_matched": float(side["mw"][side["matched"]].sum()),
                  "basis": "nameplate", "unit": "MW"} for name, side in (("first", found.first), ("second", found.second))},
    }
    write_json(folder / "results.json", results)
    return results


def write_line_matches(folder, found, report):
    """matches.csv, left_first.csv, left_second.csv (lines less than half of which have a partner), coverage.csv, repair.csv
    and results.json of a match_lines.LineMatches."""
    found.pairs.to_csv(folder / "matches.csv", index=False, float_format="%.4f")
    results = {"pairs": found.pairs["kind"].value_counts().to_dict()}
    for name, side in (("first", found.first), ("second", found.second)):
        left = side[side["matched_km"] < 0.5 * side["km"]]
        left.drop(columns="geometry").to_csv(folder / f"left_{name}.csv", index=False, float_format="%.4f")
        results[name] = {"lines": len(side), "left_over": len(left), "km": float(side["km"].sum()), "km_matched": float(side["matched_km"].sum()), "unit": "km of route"}
    found.coverage.to_csv(folder / "coverage.csv", index=False, float_format="%.4f")
    report.to_csv(folder / "repair.csv", index=False)
    write_json(folder / "results.json", results)
    return results


def line_match_headline(results, out):
    """Lines for the terminal: how much of each side has a partner."""
    yield f"{sum(results['pairs'].values()):,} pairs: " + ", ".join(f"{count:,} {kind}" for kind, count in results["pairs"].items())
    for name in ("first", "second"):
        side = results[name]
        yield f"  {name}: {side['km_matched']:,.0f} of {side['km']:,.0f} km matched, {side['left_over']:,} of {side['lines']:,} lines left over"
    yield f"results: {out}"


def match_headline(results, out):
    """Lines for the terminal: how much of each side found its other."""
    yield f"{sum(results['pairs'].values()):,} pairs: " + ", ".join(f"{count:,} {kind}" for kind, count in results["pairs"].items())
    for name in ("first", "second"):
        side = results[name]
        yield f"  {name}: {side['plants'] - side['left_over']:,} of {side['plants']:,} plants, {side['mw_matched'] / 1e3:,.1f} of {side['mw'] / 1e3:,.1f} GW matched"
    yield f"results: {out}"


def headline(results, out):
    """Lines for the terminal: the totals and where the files are."""
    gw = {name: results[name]["value"] / 1e3 for name in TOTALS}
    yield f"{results['hour']}, {results['regions']:,} regions, {results['basis']} capacity"
    yield f"  supply {gw['supply_mw']:,.3f} GW, demand {gw['demand_mw']:,.3f} GW"
    yield f"  short if each stood alone {gw['isolated_deficit_mw']:,.3f} GW"
    yield f"  unserved after what the lines can carry {gw['residual_deficit_mw']:,.3f} GW in {results['pockets']['value']:.0f} pockets"
    yield f"  of that in regions whose data can't be right {results['artefact_deficit_mw']['value'] / 1e3:,.3f} GW"
    yield f"results: {out}"


def year_headline(results, out):
    """Lines for the terminal: the totals of a year and where the files are."""
    twh = {name: results[name]["value"] / 1e6 for name in YEAR_TOTALS}
    yield f"{results['year']}, {results['regions']:,} regions, {results['basis']} capacity"
    yield f"  demand {twh['demand_mwh']:,.3f} TWh, peak {results['peak_demand_mw']['value'] / 1e3:,.3f} GW at {results['peak_demand_mw']['hour']}"
    yield f"  short if each stood alone {twh['isolated_mwh']:,.3f} TWh"
    yield f"  unserved after what the lines can carry {twh['unserved_mwh']:,.3f} TWh in {results['pockets']['value']:.0f} pockets"
    yield f"  of that in regions whose data can't be right {results['artefact_mwh']['value'] / 1e6:,.3f} TWh"
    yield f"  worst hour {results['worst_hour']['value'] / 1e3:,.3f} GW at {results['worst_hour']['hour']}"
    yield f"results: {out}"


def _doubt(number, artefacts):
    """Bounds of an unserved amount: without and with the part that the data can't be right about."""
    return {"lower": number["value"] - artefacts["value"], "upper": number["value"],
            "doubt": "lower leaves out the regions whose data contradict the world; supply and demand are taken as given"}


def _stamp(hour):
    return hour.strftime("%Y-%m-%dT%H:%MZ")


def _rows(layer):
    return layer.drop(columns="geometry").to_dict("records")
