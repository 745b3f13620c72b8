"""Large loads: they stand where they are, their area gives them up, and the nation uses what it did."""

import numpy as np
import pytest
import small_grid
from national import loaded, rule

from gridmap import InputError, config, ledger, loads, read

HEAD = "name,lon,lat,load_mw,area"


def small(folder, *rows):
    toml = small_grid.write(folder)
    small_grid.rows(folder / "loads.csv", HEAD, rows)
    return read.load(config.from_options(toml, loads=folder / "loads.csv"))


def test_a_load_moves_from_its_area_by_hand(tmp_path):
    """30 MW metered in B stand in A: A has 100 + 30, B 100 - 30 at the peak; at half the demand 50 + 30 and 50 - 30."""
    got = small(tmp_path, ("Smelter", -99.5, 41.5, 30, "B"))
    np.testing.assert_allclose(got.demand.at(small_grid.PEAK), [130, 70, 100, 50, 100])
    np.testing.assert_allclose(got.demand.at("2023-07-01T19:00Z"), [80, 20, 50, 25, 50])
    line, = rule(got.report, "large load").to_dict("records")
    assert (line["row"], line["plant"], line["before"], line["after"], line["mw"]) == (1, "Smelter", "B", "A", 30.0)


def test_without_an_area_the_one_that_serves_the_place(tmp_path):
    got = small(tmp_path, ("Hall 1", -99.5, 41.5, 10, ""), ("Hall 2", -99.4, 41.4, 15, ""))
    np.testing.assert_allclose(got.demand.at(small_grid.PEAK), [100, 100, 100, 50, 100])
    assert got.demand.areas[-2:] == ("Hall 1", "Hall 2")


def test_the_rest_is_spread_and_the_nation_uses_the_same(tmp_path):
    """1,500 MW of data centres in Loudoun County, out of Dominion's demand: the county gains, the others of the zone lose."""
    small_grid.rows(tmp_path / "loads.csv", HEAD, [("Ashburn", -77.49, 39.04, 1500, "PJM-DOM")])
    before, regions = loaded().demand, loaded().regions
    after = loads.take_out(tmp_path / "loads.csv", loads.read(tmp_path / "loads.csv"), before, regions, ledger.Ledger())
    assert np.abs(after.national() - before.national()).max() <= 1e-9 * before.national().max()
    assert (np.asarray(after.weights.sum(axis=0)) == 1.0).all()
    change = after.at("2023-07-27T22:00Z") - before.at("2023-07-27T22:00Z")
    here = regions["region_id"].eq("51107").to_numpy()
    assert change[here] > 1000 and abs(change.sum()) < 1e-6 and (change[~here] <= 1e-9).all()
    served = before.weights[:, [before.areas.index("PJM-DOM")]].toarray().ravel() > 0
    assert (change[served & ~here] < 0).all() and (change[~served & ~here] == 0).all()


@pytest.mark.parametrize("row, words", [
    (("Far", -50, 41.5, 10, ""), r"row 1 \(Far\) lies outside every region"),
    (("Odd", -99.5, 41.5, 10, "Z"), r"row 1 \(Odd\) names an area that the demand does not have"),
    (("Neg", -99.5, 41.5, -10, ""), r"row 1 \(Neg\) load_mw is not a number above zero"),
    (("Big", -99.5, 41.5, 80, "A"), r"row 1 \(Big\): A has 50 MW left at 2023-07-01 19:00:00 UTC"),
])
def test_bad_loads_are_named_by_row(tmp_path, row, words):
    with pytest.raises(InputError, match=f"loads.csv: {words}"):
        small(tmp_path, row)
