"""Tables and numbers of a run as CSV and JSON. Every number says its unit, its capacity basis and its hour."""

from cukernels.run import write_json

WORST = 10


def write_tables(folder, layers, repairs):
    """regions.csv, pockets.csv, corridors.csv (the layers without their shapes) and repair.csv."""
    for name in ("regions", "pockets", "corridors"):
        layers[name].drop(columns="geometry").to_csv(folder / f"{name}.csv", index=False, float_format="%.6f")
    repairs.to_csv(folder / "repair.csv", index=False)


def write_results(path, layers, account, hour, basis):
    """results.json: totals, the worst pockets, the corridors worth most. Returns what it wrote."""
    regions, pockets, corridors = layers["regions"], layers["pockets"], layers["corridors"]

    def number(value, unit, how):
        return {"value": float(value), "unit": unit, "basis": basis, "hour": hour, "how": how}

    results = {
        "hour": hour,
        "basis": basis,
        "regions": len(regions),
        "supply_mw": number(regions.supply_mw.sum(), "MW", "sum over regions of what their plants can give at the hour"),
        "demand_mw": number(regions.demand_mw.sum(), "MW", "sum over regions"),
        "isolated_deficit_mw": number(regions.isolated_deficit_mw.sum(), "MW", "sum over regions of demand above supply"),
        "residual_deficit_mw": number(regions.residual_deficit_mw.sum(), "MW", "least total unserved demand over all flows within the corridor limits (maximum flow, exact)"),
        "flagged_deficit_mw": number(regions.residual_deficit_mw[regions.flag.ne("")].sum(), "MW", "part of the residual deficit in regions where a hole in the data may cause it"),
        "pockets": {**number(len(pockets), "pockets", "connected sides of minimum cuts with unserved demand"),
                    "worst": _rows(pockets.nlargest(WORST, "residual_deficit_mw"))},
        "bottlenecks": {**number(corridors.bottleneck.sum(), "corridors", "at their limit into a pocket in every best flow"),
                        "worst": _rows(corridors[corridors.bottleneck > 0].nlargest(WORST, "worth_mw"))},
        "account": account,
    }
    write_json(path, results)
    return results


def _rows(layer):
    return layer.drop(columns="geometry").to_dict("records")
