"""Two free portraits, for the demonstration and the tests; see CREDITS.md beside this file."""

from pathlib import Path

ASTRONAUT = Path(__file__).with_name("astronaut.png")
"""Eileen Collins, 512 x 512, PNG."""

GRACE_HOPPER = Path(__file__).with_name("grace_hopper.jpg")
"""Grace Hopper, 512 x 600, JPEG."""

PORTRAITS = (ASTRONAUT, GRACE_HOPPER)
