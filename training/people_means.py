"""What recognisers find alike in all rendered people, and from where two pictures are one person.

For each recogniser beside SFace, whose mean is there already, it writes the mean embedding of
rendered people into the package, and prints for all of them how alike pictures of the same and of
different people are after the mean is subtracted. People for the mean and for the figures differ.

    python -m training.people_means --people WORK/people --held-out WORK/held
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from decontext.evaluation import identity
from decontext.evaluation.faces import FaceDetector
from decontext.evaluation.recognisers import load_recognisers
from training.datasets import load_people

PICTURES = 2  # of each person


def embed(pictures: np.ndarray, detector: FaceDetector, recogniser) -> np.ndarray:
    """`(people, PICTURES, values)`; rows of NaN where no face was found."""
    rows = []
    for picture in pictures.reshape(-1, *pictures.shape[2:]):
        face = detector.find_clearest(picture)
        rows.append(None if face is None else recogniser.describe(face))
    empty = np.full_like(next(row for row in rows if row is not None), np.nan)
    filled = np.array([empty if row is None else row for row in rows])
    return filled.reshape(*pictures.shape[:2], -1)


def report(name: str, faces: np.ndarray, mean: np.ndarray) -> None:
    """Similarities of the same and of different people, and the threshold of 1 % of these."""
    centred = faces - mean
    centred /= np.linalg.norm(centred, axis=-1, keepdims=True)
    alike = np.einsum("iad,jbd->iajb", centred, centred)
    people = np.arange(len(faces))
    same = alike[people, 0, people, 1]
    different = alike[:, 0, :, 1][~np.eye(len(faces), dtype=bool)]
    print(
        f"{name}: same {np.nanmean(same):.3f} (5 % below {np.nanpercentile(same, 5):.3f}), "
        f"different {np.nanmean(different):.3f} (5 % above {np.nanpercentile(different, 95):.3f}, "
        f"1 % above {np.nanpercentile(different, 99):.3f}), {different.size} pairs, "
        f"{np.isnan(faces[..., 0]).mean():.1%} without a face"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=Path, required=True, help="folder of rendered people")
    parser.add_argument("--held-out", type=Path, required=True, help="other rendered people")
    parser.add_argument("--count", type=int, default=300, help="people for a mean")
    args = parser.parse_args()
    training = load_people(args.people)["pictures"][: args.count, :PICTURES]
    held_out = load_people(args.held_out)["pictures"][:, :PICTURES]
    detector, folder = FaceDetector(), Path(identity.__file__).parent
    for recogniser in load_recognisers(detector):
        if recogniser.name != identity.FaceRecogniser.name:
            mean = np.nanmean(embed(training, detector, recogniser), axis=(0, 1))
            np.save(folder / f"people_mean_{recogniser.name}.npy", mean.astype(np.float32))
        identity.people_mean.cache_clear()
        mean = identity.people_mean(recogniser.name)
        report(recogniser.name, embed(held_out, detector, recogniser), mean)


if __name__ == "__main__":
    main()
