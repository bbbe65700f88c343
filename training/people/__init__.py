"""Rendered people: who they are (`identity`), what they look like (`texture`, `hair`,
`accessories`), and how they are photographed (`scene`, `rasteriser`, `render`).

`assets` makes the head model once; `generate` is the command line.
"""
