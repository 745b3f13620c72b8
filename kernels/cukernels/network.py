"""What `flow`, `carry` and `headroom` share of a network of regions and corridors; on the device it is `network.cuh`."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def load_room(room, slot, forward, backward, scale):
    """What each arc can still bring to the region where it stands, in units; no limit is 2**61, more than all supply."""
    for e in range(slot.shape[1]):
        room[slot[0, e]] = np.int64(np.floor(min(backward[e] * scale, 2.0**61) + 0.5))
        room[slot[1, e]] = np.int64(np.floor(min(forward[e] * scale, 2.0**61) + 0.5))
