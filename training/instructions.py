"""What the embedded editors learn to be told: every edit in several wordings.

`TRAINING[edit]` are the wordings it is trained on, `UNSEEN[edit]` wordings kept for tests only.
`{person}` and `{colour}` are filled in by `word`.
"""

from __future__ import annotations

import numpy as np

COLOURS = ("red", "green", "blue", "yellow", "white", "grey")  # walls; the renderer's order
PERSONS = ("this person", "the person", "the man", "the woman", "him", "her", "them")

# Renders 0..6 of a person show these; 7 is another background, 8 and 9 are other scenes.
FACE_EDITS = (
    "keep",
    "smile",
    "surprised",
    "eyes closed",
    "glasses",
    "red hat",
    "blond",
    "black hair",
)
TONES = (
    "black and white",
    "sepia",
    "inverted",
    "warmer",
    "cooler",
    "darker",
    "brighter",
    "red frame",
    "white frame",
)

TRAINING: dict[str, tuple[str, ...]] = {
    "keep": (
        "a photo of {person}",
        "keep the picture as it is",
        "change nothing",
        "the same picture",
        "copy the photo",
        "a portrait of {person}",
        "leave everything unchanged",
    ),
    "smile": (
        "make {person} smile",
        "a photo of {person} smiling",
        "add a smile",
        "let {person} smile with open mouth",
        "{person} is smiling",
        "{person} looks happy",
        "give {person} a happy smile",
    ),
    "surprised": (
        "make {person} look surprised",
        "a photo of {person} with a surprised face",
        "{person} is surprised",
        "open the mouth in surprise",
        "let {person} look surprised",
        "give {person} a surprised expression",
    ),
    "eyes closed": (
        "close the eyes of {person}",
        "{person} with closed eyes",
        "close the eyes",
        "make {person} close the eyes",
        "a photo of {person} with eyes closed",
        "{person} is asleep",
    ),
    "glasses": (
        "add glasses",
        "make {person} wear glasses",
        "put glasses on {person}",
        "a photo of {person} wearing glasses",
        "{person} with black glasses",
        "give {person} a pair of glasses",
    ),
    "red hat": (
        "add a red hat",
        "make {person} wear a red hat",
        "put a red hat on {person}",
        "a photo of {person} wearing a red hat",
        "{person} with a red hat",
        "give {person} a hat",
    ),
    "blond": (
        "make the hair blond",
        "give {person} blond hair",
        "a photo of {person} with blond hair",
        "change the hair colour to blond",
        "{person} with yellow hair",
        "dye the hair blond",
    ),
    "black hair": (
        "make the hair black",
        "give {person} black hair",
        "a photo of {person} with black hair",
        "change the hair colour to black",
        "{person} with dark hair",
        "dye the hair black",
    ),
    "background": (
        "change the background to {colour}",
        "make the background {colour}",
        "replace the background with a {colour} one",
        "a {colour} background",
        "put a {colour} background behind {person}",
    ),
    "scene": (
        "show {person} in front of a {colour} wall",
        "{person} in another place before a {colour} wall",
        "a new photo of {person} by a {colour} wall",
        "put {person} in front of a {colour} wall",
        "{person} standing at a {colour} wall",
    ),
    "black and white": (
        "make it black and white",
        "a black and white photo",
        "remove the colours",
        "turn the picture into black and white",
        "convert it to greyscale",
    ),
    "sepia": (
        "make it sepia",
        "a sepia photo",
        "make it look like an old brown photo",
        "turn the picture into sepia",
        "give it a sepia tone",
    ),
    "inverted": (
        "invert the colours",
        "make it a negative",
        "a photo negative",
        "turn the picture into a negative",
        "inverted colours",
    ),
    "warmer": (
        "make it warmer",
        "warmer colours",
        "give the picture a warm light",
        "make the colours warmer",
        "a warm tone",
    ),
    "cooler": (
        "make it cooler",
        "cooler colours",
        "give the picture a cold light",
        "make the colours colder",
        "a cool blue tone",
    ),
    "darker": (
        "make it darker",
        "a darker picture",
        "turn the light down",
        "darken the photo",
        "make the picture dark",
    ),
    "brighter": (
        "make it brighter",
        "a brighter picture",
        "turn the light up",
        "brighten the photo",
        "make the picture bright",
    ),
    "red frame": (
        "add a red frame",
        "put a red frame around the picture",
        "frame the photo in red",
        "a red border",
        "add a red border",
    ),
    "white frame": (
        "add a white frame",
        "put a white frame around the picture",
        "frame the photo in white",
        "a white border",
        "add a white border",
    ),
}

CLEANING = (
    "denoise the picture",
    "remove the noise",
    "clean the photo of {person}",
    "remove the noise from the picture",
    "restore the photo",
    "sharpen and clean the picture",
)
"""What `klein-mini` alone is told, of a photo with noise or JPEG marks."""

UNSEEN_CLEANING = ("denoise this photo", "reconstruct this photo")

UNSEEN: dict[str, tuple[str, ...]] = {
    "keep": ("an unchanged photo of {person}", "leave the picture the same"),
    "smile": ("a happy smiling portrait of {person}", "please add a happy smile"),
    "surprised": ("{person} with a surprised look", "let the face look surprised"),
    "eyes closed": ("a portrait with the eyes closed", "let {person} close the eyes"),
    "glasses": ("a portrait of {person} with glasses", "let {person} wear black glasses"),
    "red hat": ("a portrait of {person} in a red hat", "let {person} wear a red hat"),
    "blond": ("turn the hair blond", "a portrait with blond hair"),
    "black hair": ("turn the hair black", "a portrait with black hair"),
    "background": ("turn the background {colour}", "use a {colour} background"),
    "scene": ("a picture of {person} before a {colour} wall",),
    "black and white": ("convert the photo to black and white",),
    "sepia": ("convert the photo to sepia",),
    "inverted": ("make a negative of the photo",),
    "warmer": ("give it warmer colours",),
    "cooler": ("give it cooler colours",),
    "darker": ("make the photo darker",),
    "brighter": ("make the photo brighter",),
    "red frame": ("give the photo a red frame",),
    "white frame": ("give the photo a white frame",),
}


def word(edit: str, rng: np.random.Generator, *, colour: int = -1) -> str:
    """One training wording of an edit, with its slots filled and small variations."""
    wordings = CLEANING if edit == "cleaning" else TRAINING[edit]
    text = wordings[rng.integers(len(wordings))]
    text = text.format(person=PERSONS[rng.integers(len(PERSONS))], colour=COLOURS[colour])
    if rng.random() < 0.15:
        text = "please " + text
    if rng.random() < 0.3:
        text = text[0].upper() + text[1:]
    return text + "." if rng.random() < 0.3 else text


def vocabulary_corpus() -> list[str]:
    """Sentences from which the two tokenizers learn their pieces."""
    extra = [
        "please make the man and the woman look at the camera in the rain at night",
        "turn him to the left and her to the right with a hand on the face",
        "a drawing painting photo portrait in the style of an old oil painting",
        "wearing a coat scarf dress suit shirt tie mask crown sunglasses jewellery",
        "on the beach in the city in a forest in space on a street in a garden",
        "angry sad crying laughing winking calm serious scared proud tired young older",
        "add remove replace change keep everything else the same without anything",
        "orange purple pink brown black silver golden hair beard moustache long short curly",
        "it is was are be this that these those not no yes very more less of from with to",
    ]
    sentences = []
    for wordings in TRAINING.values():
        for wording in wordings:
            for colour in COLOURS if "{colour}" in wording else COLOURS[:1]:
                for person in PERSONS if "{person}" in wording else PERSONS[:1]:
                    sentences.append(wording.format(person=person, colour=colour))
    return sentences + extra * 6
