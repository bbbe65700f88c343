"""Draw the steps yourself and stop when it is enough: python examples/watch_and_stop.py PHOTO

`protect_steps` is a generator: closing it cancels, and nothing is saved unless you save it.
"""

import sys

import decontext
from decontext.photo.images import quantise

ENOUGH = 0.5  # stop when the context proportion has fallen to this part of what it was

photo = decontext.load_photo(sys.argv[1])
editor = decontext.load_editor("kontext-mini")
settings = decontext.ProtectSettings(epsilon=12.75 / 255, steps=300)

steps = decontext.protect_steps(photo, editor, settings)
for step in steps:
    if step.best_value < ENOUGH * step.start_value:
        print(f"step {step.index}: {step.start_value:.3f} -> {step.best_value:.3f}")
        image = quantise(step.best, photo.pixels, settings.budget)
        decontext.save_photo(image, photo, "stopped.png")
        break
steps.close()
