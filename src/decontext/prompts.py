"""The instructions that are averaged over: what people ask an editor to do with a portrait.

`OPTIMISE` is what the optimiser draws from, in six groups after the paper's. `HELD_OUT` is what a
protected photo is measured with; none of it is optimised on. Both hold edits that `kontext-mini`
understands and edits that only large editors do: nobody knows what will be asked.

Source: arXiv 2512.16625, section 5.1, for the groups; the wordings are ours.
"""

from collections.abc import Mapping

GROUPS: Mapping[str, tuple[str, ...]] = {
    "expression": (
        "make the person smile",
        "make this person look surprised",
        "close the eyes",
        "let the person look angry",
        "make them look sad",
        "give the person a calm and serious face",
        "the person is laughing",
        "let the person wink",
        "make the person look tired",
        "a photo of the person looking proud",
    ),
    "accessory": (
        "add glasses",
        "put a red hat on the person",
        "make the hair blond",
        "give the person black hair",
        "let the person wear sunglasses",
        "add a woollen scarf",
        "put a crown on the head",
        "give the person headphones",
        "add earrings and a necklace",
        "give the person a beard",
    ),
    "posture": (
        "a photo of this person",
        "keep the picture as it is",
        "turn the head to the left",
        "let the person look up",
        "show the person from the side",
        "let the person rest the chin on one hand",
        "the person crosses the arms",
        "let the person wave at the camera",
        "show the person sitting on a chair",
        "tilt the head a little",
    ),
    "style": (
        "make it black and white",
        "make it sepia",
        "invert the colours",
        "make the colours warmer",
        "make the colours cooler",
        "make it darker",
        "make it brighter",
        "add a red frame",
        "add a white frame",
        "turn it into an oil painting",
        "draw it as a pencil sketch",
    ),
    "scene": (
        "change the background to red",
        "make the background green",
        "replace the background with a blue one",
        "put a yellow background behind the person",
        "show the person in front of a white wall",
        "a new photo of the person by a grey wall",
        "put the person on a beach at sunset",
        "show the person in a busy street at night",
        "place the person in a library",
        "let it snow around the person",
    ),
    "combined": (
        "make the person smile in front of a blue wall",
        "add glasses and make it black and white",
        "put a red hat on the person and make the background white",
        "give the person blond hair and a surprised face",
        "close the eyes and make the picture darker",
        "let the person laugh under an umbrella in the rain",
        "a painting of the person in a suit and tie",
        "the person as an astronaut, looking at the camera",
        "turn the head to the right and add sunglasses",
        "an old photo of the person with a serious look",
    ),
}

OPTIMISE: tuple[str, ...] = tuple(text for group in GROUPS.values() for text in group)

HELD_OUT: tuple[str, ...] = (
    "please add a happy smile",
    "a portrait of this person in a red hat",
    "turn the background yellow",
    "a picture of the person before a green wall",
    "leave the picture the same",
    "convert the photo to black and white",
    "let the person wear black glasses",
    "turn the hair blond",
    "let the face look astonished",
    "give it warmer colours",
    "show this person drinking coffee in a garden",
    "the same person on a magazine cover, wearing a winter coat",
)
"""Ordered so that the first few are already a mix of groups."""
