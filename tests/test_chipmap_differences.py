"""Differences drawn by hand: every short, open, extra and missing piece is found, where it is, and nothing else."""

import numpy as np
import pytest
from cukernels.components import pieces
from scipy import ndimage

from chipmap.comparison.differences import find_differences
from chipmap.score import electrical

TOLERANCE, LEAST = 3, 20


def layout():
    """Six tracks 12 pixels wide, 12 apart, and a pad."""
    drawn = np.zeros((220, 300), bool)
    for n in range(6):
        drawn[20 + 24 * n:32 + 24 * n, 20:280] = True
    drawn[170:210, 40:90] = True
    return drawn


def compared(found, drawn=None, known=None):
    drawn = layout() if drawn is None else drawn
    return find_differences(found, drawn.astype(float), np.ones(found.shape, bool) if known is None else known, TOLERANCE, LEAST)


def near(table, k, x, y, reach=3):
    return abs(table["x"][k] - x) < reach and abs(table["y"][k] - y) < reach


def test_alike_within_the_tolerance():
    for found in (layout(), ndimage.binary_dilation(layout(), iterations=2), ndimage.binary_erosion(layout(), iterations=2), np.roll(layout(), 2, 1)):
        got = compared(found)
        assert got.table["kind"] == [] and not got.marks.any()
        assert (got.counts["shorts"], got.counts["opens"]) == (0, 0)


@pytest.mark.parametrize("steps", [-2, -1, 1, 2])
def test_edge_offset_by_hand(steps):
    found = (ndimage.binary_dilation if steps > 0 else ndimage.binary_erosion)(layout(), iterations=abs(steps))
    got = compared(found)
    assert got.edge_offset == pytest.approx(steps, abs=0.06)    # corners gain more than edges: 2 of 550 pixels each
    assert got.edge_offset_sd < 0.1


def test_a_bridge_a_cut_a_speck_and_a_lost_pad():
    found = layout()
    found[32:44, 100:103] = True            # first and second track, three pixels wide
    found[68:80, 200:206] = False           # third track
    found[176:200, 200:240] = True          # nothing is drawn there
    found[170:210, 40:90] = False           # the pad
    found[92:98, 60:75] = False             # a bite from the fourth track
    got = compared(found)
    assert sorted(got.table["kind"]) == ["extra piece", "missing", "missing piece", "open", "short"]
    at = {kind: got.table["kind"].index(kind) for kind in got.table["kind"]}
    assert near(got.table, at["short"], 101.5, 38) and near(got.table, at["open"], 203, 74)
    assert near(got.table, at["extra piece"], 220, 188) and near(got.table, at["missing piece"], 65, 190)
    nets, _ = pieces(layout())
    assert got.table["parts"][at["short"]] == sorted({int(nets[25, 50]), int(nets[50, 50])})
    assert got.table["parts"][at["open"]] == [int(nets[74, 50])]
    assert got.counts == {"shorts": 1, "opens": 1, "extra_pieces": 1, "missing_pieces": 1, "drawn_nets": 7, "found_pieces": 7}
    assert got.marks[38, 101] == at["short"] + 1 and got.marks[74, 203] in (0, at["open"] + 1)


def test_a_bridge_narrower_than_the_tolerance_and_in_a_narrow_gap():
    drawn = np.zeros((60, 100), bool)
    drawn[20:28, 10:90] = drawn[31:39, 10:90] = True        # three pixels apart
    found = drawn.copy()
    found[28:31, 50] = True
    got = compared(found, drawn)
    assert got.table["kind"] == ["short"] and near(got.table, 0, 50.5, 29.5, 1)


def test_two_bridges_between_the_same_tracks_are_one_short_in_two_places():
    found = layout()
    found[32:44, 100:104] = found[32:44, 180:184] = True
    got = compared(found)
    assert got.table["kind"] == ["short", "short"] and got.counts["shorts"] == 1
    assert sorted(round(x) for x in got.table["x"]) == [102, 182]


def test_a_broken_ring_is_not_open():
    drawn = np.zeros((100, 100), bool)
    drawn[20:80, 20:80] = True
    drawn[32:68, 32:68] = False
    found = drawn.copy()
    found[40:50, 20:32] = False
    got = compared(found, drawn)
    assert got.table["kind"] == ["missing"] and got.counts["opens"] == 0


def test_dust_and_what_the_layout_does_not_cover_are_left_out():
    found = layout()
    found[180:184, 250:254] = True
    known = np.ones(found.shape, bool)
    known[:, 285:] = False
    found[100:150, 288:] = True
    assert compared(found, known=known).table["kind"] == []


def test_counts_are_those_of_the_score_on_random_masks():
    rng = np.random.default_rng(0)
    for _ in range(5):
        grey = ndimage.gaussian_filter(rng.standard_normal((150, 150)), 5)
        drawn, found = grey > 0.02, grey + 0.3 * ndimage.gaussian_filter(rng.standard_normal((150, 150)), 4) > 0.02
        # with no tolerance and no dust a touch is any common pixel
        got = find_differences(found, drawn.astype(float), np.ones(drawn.shape, bool), 0, 1)
        want = electrical(found, drawn, least=1)
        assert (got.counts["shorts"], got.counts["opens"]) == (want.shorts, want.opens)
        assert (got.counts["extra_pieces"], got.counts["missing_pieces"]) == (want.false_positives, want.false_negatives)
        # the places marked must hold together all nets that are shorted
        assert sum(len(parts) - 1 for kind, parts in zip(got.table["kind"], got.table["parts"]) if kind == "short") >= want.shorts
