"""What an editor makes of a photo and of its protected copy, with the same seed.

python examples/edit_both.py PHOTO PROTECTED "make the person smile"
"""

import sys
from dataclasses import replace

import decontext

instruction = sys.argv[3]
editor = decontext.load_editor("kontext-mini")

for path in sys.argv[1:3]:
    photo = decontext.load_photo(path)
    edited = decontext.edit(photo, instruction, editor, seed=7)
    output = photo.path.with_suffix(".edit.png")
    decontext.save_photo(edited, replace(photo, pixels=edited, alpha=None, orientation=1), output)
    print(output)
