"""What happens to a photo once it is out: JPEG, resizing, cropping, cleaning; and controls.

`transforms` names each of them, `chains` are those that a step of the optimiser sees.
"""
