"""Tables and numbers of a run as CSV and JSON. Every number says its unit, its capacity basis and its hour."""

from cukernels.run import write_json

WORST = 10
TOTALS = {
    "supply_mw": "sum over regions of what their plants can give in the hour",
    "demand_mw": "sum over regions of the demand in the hour",
    "isolated_deficit_mw": "sum over regions of demand above supply, if nothing flowed",
    "residual_deficit_mw": "least total unserved demand of all flows within the corridor limits (maximum flow, exact)",
}


def write_tables(folder, shown, inputs):
    """regions.csv, pockets.csv, corridors.csv (the layers without their shapes), repair.csv and account.csv."""
    for name in ("regions", "pockets", "corridors"):
        shown[name].drop(columns="geometry").to_csv(folder / f"{name}.csv", index=False, float_format="%.6f")
    inputs.report.to_csv(folder / "repair.csv", index=False)
    inputs.account.to_csv(folder / "account.csv", index=False)


def write_results(path, shown, found):
    """results.json: totals, the largest pockets, the corridors worth most. Returns what it wrote."""
    regions, pockets, corridors = shown["regions"], shown["pockets"], shown["corridors"]
    hour = found.hour.strftime("%Y-%m-%dT%H:%MZ")

    def number(value, unit, how):
        return {"value": float(value), "unit": unit, "basis": found.basis, "hour": hour, "how": how}

    flagged = regions["residual_deficit_mw"][regions["flag"].ne("")].sum()
    results = {
        "hour": hour,
        "basis": found.basis,
        "basis_counts": found.says,
        "regions": len(regions),
        **{name: number(regions[name].sum(), "MW", how) for name, how in TOTALS.items()},
        "flagged_deficit_mw": number(flagged, "MW", "part of residual_deficit_mw in regions where a hole in the data may be its cause"),
        "pockets": {**number(len(pockets), "pockets", "connected regions that lack one share of their demand behind full corridors"),
                    "worst": _rows(pockets.head(WORST))},
        "bottlenecks": {**number((corridors["bottleneck"] > 0).sum(), "corridors", "at their limit into a pocket in every flow that serves the most"),
                        "worst": _rows(corridors.nlargest(WORST, "worth_mw").query("worth_mw > 0"))},
    }
    write_json(path, results)
    return results


def headline(results, out):
    """Lines for the terminal: the totals and where the files are."""
    gw = {name: results[name]["value"] / 1e3 for name in TOTALS}
    yield f"{results['hour']}, {results['regions']:,} regions, {results['basis']} capacity"
    yield f"  supply {gw['supply_mw']:,.3f} GW, demand {gw['demand_mw']:,.3f} GW"
    yield f"  short if each stood alone {gw['isolated_deficit_mw']:,.3f} GW"
    yield f"  unserved after what the lines can carry {gw['residual_deficit_mw']:,.3f} GW in {results['pockets']['value']:.0f} pockets"
    yield f"results: {out}"


def _rows(layer):
    return layer.drop(columns="geometry").to_dict("records")
