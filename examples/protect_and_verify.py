"""Protect a photo, then measure the file as somebody else would: python examples/... PHOTO OUT.png

Uses the embedded demonstration editor, which runs anywhere. What it protects against is that editor
and nothing else; put the name and the folder of a real one instead.
"""

import sys

import decontext

photo, output = sys.argv[1:]
editor = decontext.load_editor("kontext-mini")

result = decontext.protect(
    photo,
    editor,
    output=output,
    epsilon="12.75/255",
    on_progress=lambda p: print(f"{p.done / p.total:4.0%} {p.stage}: {p.message}", end="\033[K\r"),
)
print(f"\nsaved {result.path}, up to {result.verification.levels} levels from the original")

verification = decontext.verify(output, photo, editor, seed=1)
print(verification)
print(verification.advice)
print(f"context proportion {verification.original:.3f} -> {verification.protected_mean:.3f}")
print(f"random noise of the same size: {verification.random:.3f}")
