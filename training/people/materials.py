"""What a triangle is made of. The numbers index the colour and gloss tables of `render`."""

from __future__ import annotations

SKIN = 0  # face, neck and ears: painted with the skin texture
TORSO = 1  # shoulders and chest: skin of one colour
EYE = 2
TEETH = 3
MOUTH = 4  # inside of the mouth, and the tongue
LASHES = 5
HAIR_CAP = 6  # hair that follows the scalp, cut out by a mask
HAT = 7
GLASSES = 8
HAIR_SHEET = 9  # hair that hangs, and buns
SHIRT = 10  # no triangle of its own: where the neckline says so, on SKIN and TORSO

COUNT = 11
