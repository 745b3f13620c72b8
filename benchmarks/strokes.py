"""Scribbles on the bundled and held test pictures, as a user draws them: (class, width in pixels, [(x, y), ...]) a stroke.

Ten or so a picture: along the middle of what is plain to see, and beside it. On metal the strokes beside a track and its
vias say where a track ends by the convention of the labels, a little inside the half-way grey.
"""

import numpy as np
from shapely.geometry import LineString

from chipmap.scribbles import draw

METAL = {
    0: [("background", 6, [(20, 40), (180, 60)]),
        ("background", 4, [(115, 101), (420, 101)]),
        ("background", 4, [(115, 84), (420, 84)]),
        ("background", 3, [(66, 157), (100, 157), (109, 166), (105, 177), (66, 180)]),
        ("background", 3, [(110, 330), (420, 332)]),
        ("track", 8, [(115, 93), (420, 93)]),
        ("track", 8, [(110, 323), (420, 324)]),
        ("track", 8, [(2, 169), (92, 168)]),
        ("track", 8, [(222, 207), (222, 222)]),
        ("track", 8, [(240, 227), (430, 229)])],
    1: [("background", 6, [(300, 250), (320, 330)]),
        ("background", 5, [(10, 62), (430, 72)]),
        ("background", 3, [(5, 105), (400, 105)]),
        ("background", 3, [(88, 83), (112, 82), (123, 84), (124, 92), (118, 102), (96, 102)]),
        ("background", 3, [(130, 158.5), (350, 158.5)]),
        ("track", 9, [(5, 112), (410, 112)]),
        ("track", 9, [(5, 93), (115, 92)]),
        ("track", 9, [(115, 151), (350, 151)]),
        ("track", 8, [(245, 211), (245, 226)]),
        ("track", 8, [(120, 381), (430, 382)])],
}


def metal(number, shape):
    """`scribbles.Scribbles` of ten strokes on a delayered metal picture."""
    return drawn(METAL[number], shape)


def drawn(strokes, shape):
    names = list(dict.fromkeys(name for name, *_ in strokes))
    return draw([(name, LineString(np.array(points) + 0.5).buffer(width / 2)) for name, width, points in strokes], shape, names)
