"""Coarser regions: nothing is lost, and merging never makes more unserved demand."""

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import shapely
from click.testing import CliRunner
from national import repaired, rule

from gridmap import InputError, ledger, regroup, supply
from gridmap.__main__ import main

PEAK = "2023-07-27T22:00Z"
COUNTS = {"state": (54, 54), "zone": (134, 134), "area": (100, 140), "group": (17, 40), "nerc": (10, 25), "interconnect": (3, 3)}


@pytest.mark.parametrize("by", COUNTS)
def test_every_mw_goes_along(by):
    counties, groups = repaired(), regroup.regroup(repaired(), by)
    fewest, most = COUNTS[by]
    assert fewest <= len(groups.regions) <= most
    fine, coarse = (supply.balance(inputs, PEAK) for inputs in (counties, groups))
    for column in ("supply_mw", "demand_mw", "nuclear_mw", "wind_mw"):
        assert math.fsum(coarse[column]) == pytest.approx(math.fsum(fine[column]), rel=1e-12)
    assert (np.asarray(groups.demand.weights.sum(axis=0)) == 1.0).all()
    assert coarse["isolated_deficit_mw"].sum() <= fine["isolated_deficit_mw"].sum()
    assert ledger.account(groups.plants, groups.plants["region"].lt(0).map({True: "out", False: ""}))["units"].iloc[-1] == len(counties.plants)


def test_counties_stay_as_they_are():
    assert regroup.regroup(repaired(), "county") is repaired()


def test_shapes_cover_the_same_ground_without_overlap():
    groups = regroup.regroup(repaired(), "state").regions
    assert shapely.coverage_is_valid(groups.geometry.to_numpy())
    assert groups.to_crs(5070).area.sum() == pytest.approx(repaired().regions.to_crs(5070).area.sum(), rel=1e-6)


def test_interconnects_are_kept_apart():
    """Texas lies in three: it becomes three regions, and only direct current joins them."""
    groups = regroup.regroup(repaired(), "state")
    texas = {name for name in groups.regions["region_id"] if name.startswith("TX")}
    assert texas == {"TX-eastern", "TX-ercot", "TX-western"}
    side = groups.regions["interconnect"].to_numpy()
    across = side[groups.corridors["tail"]] != side[groups.corridors["head"]]
    assert (side != "").all() and set(groups.corridors.loc[across, "kind"]) == {"DC"}
    three = regroup.regroup(repaired(), "interconnect")
    assert set(three.corridors["kind"]) == {"DC"} and three.corridors["forward_mw"].sum() == 4 * 200 + 210 + 220 + 600


def test_zones_have_the_limits_of_the_study():
    """292 pairs of 133 zones, 677 GW; summed over the counties at their borders 928 GW; p19 has no AC tie."""
    groups = regroup.regroup(repaired(), "zone")
    ac = groups.corridors[groups.corridors["kind"].eq("AC")]
    assert len(ac) == 292
    line, = rule(groups.report, "limits of the study between zones").to_dict("records")
    assert line["mw"] == pytest.approx(928e3, rel=0.01)
    assert ac[["forward_mw", "backward_mw"]].to_numpy().sum() / 2 == pytest.approx(677e3, rel=0.001)
    lonely = groups.regions.index[groups.regions["region_id"].eq("p19")][0]
    assert lonely not in set(ac["tail"]) | set(ac["head"])
    assert (groups.corridors["kind"] == "DC").sum() >= 8


def test_an_area_is_made_of_the_counties_it_serves_most():
    groups = regroup.regroup(repaired(), "area")
    label = regroup.labels(repaired(), "area")
    ids = repaired().regions["region_id"].to_numpy()
    for code, area in (("17031", "PJM-CE"), ("36061", "NYIS-ZONJ"), ("48201", "ERCO-COAS-ercot")):       # Chicago, Manhattan, Houston
        assert label[ids == code].item() == area
    assert set(groups.regions["region_id"]) == set(label)


def test_unknown_sets_and_regions_without_a_label_are_refused():
    with pytest.raises(InputError, match="'parish' are unknown; choose one of county, state"):
        regroup.regroup(repaired(), "parish")
    blank = replace(repaired(), regions=repaired().regions.assign(zone=""))
    with pytest.raises(InputError, match=r"region 01001 \(Autauga\) has no zone"):
        regroup.regroup(blank, "zone")


@pytest.mark.slow
@pytest.mark.parametrize("by", ["state", "zone"])
def test_a_year_of_groups_with_artefacts_joined(tmp_path, by):
    """All three together: every MWh in both answers, and the joined one never short of more."""
    done = CliRunner().invoke(main, ["run", "-o", str(tmp_path / "out"), "--by", by, "--year", "2023", "--merge", "--device", "cpu", "--quiet"])
    assert done.exit_code == 0, done.output
    whole, merged = (json.loads((tmp_path / "out" / part / "results.json").read_text()) for part in ("", "merged"))
    joined = pd.read_csv(tmp_path / "out" / "merged" / "joined.csv")
    assert merged["demand_mwh"]["value"] == pytest.approx(whole["demand_mwh"]["value"]) == pytest.approx(4_066.6e6, rel=1e-4)
    # two that join each other are two lines and one region less
    assert whole["regions"] - len(joined) <= merged["regions"] <= whole["regions"] - math.ceil(len(joined) / 2)
    assert merged["unserved_mwh"]["value"] <= whole["unserved_mwh"]["value"] * (1 + 1e-9)
