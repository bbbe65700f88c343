"""What an editor makes of a photo and of its protected copy, with the same seed.

python examples/edit_both.py PHOTO PROTECTED "make the person smile"
"""

import sys
from pathlib import Path

import decontext

instruction = sys.argv[3]
editor = decontext.load_editor("kontext-mini")

for path in map(Path, sys.argv[1:3]):
    edited = decontext.edit(path, instruction, editor, seed=7)
    print(edited.save(path.with_suffix(".edit.png")))
