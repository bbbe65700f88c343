"""A look before anything is saved: what `protect` would make of a photo, as one picture.

After `protect` on the way of the data. The picture shows the photo, the protected photo, their
difference made ten times as strong, and where it is seen. The protected photo is not written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from decontext.editors import Editor
from decontext.editors.several import Crew, gather
from decontext.photo.files import check_targets
from decontext.photo.images import Photo, load_photo
from decontext.preparing import prepare
from decontext.progress import Meter, OnProgress
from decontext.protect import reach
from decontext.saving import default_output, saved_as
from decontext.settings import ProtectSettings
from decontext.verdict import Verification
from decontext.verify import count_passes
from decontext.visibility.picture import draw_preview, write_preview
from decontext.visibility.scores import Visibility, measure_visibility


@dataclass(frozen=True)
class Preview:
    """What protecting the photo would come to.

    Attributes:
        path: of the picture.
        verification: what was measured, of pixels as the file would hold them.
        visibility: how much of the change is seen.
        settings: repeat the run.
    """

    path: Path
    verification: Verification
    visibility: Visibility
    settings: ProtectSettings

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "preview": str(self.path),
            "visibility": self.visibility.to_dict(),
            "verification": self.verification.to_dict(),
            "settings": self.settings.to_dict(),
        }


def preview(
    photo: Photo | str | Path,
    editor: Editor | str | Crew | Sequence[Editor | str],
    *,
    output: str | Path | None = None,
    settings: ProtectSettings | None = None,
    force: bool = False,
    quality: int | None = None,
    on_progress: OnProgress | None = None,
) -> Preview:
    """Protect a photo without saving it, and write a picture of what is seen of the change.

    The arguments are those of `protect.protect`; `output` is the picture's, a PNG, by default
    `NAME.preview.png` beside the photo. A verdict that is not strong is no error here.

    Raises:
        InputError, EditorError, AttentionError: as `protect.protect`.
    """
    photo = photo if isinstance(photo, Photo) else load_photo(photo)
    settings = settings or ProtectSettings()
    target = Path(output) if output is not None else preview_output(photo.path)
    check_targets([target], inputs=(photo.path,), force=force)
    loaded = gather(editor)
    meter = Meter(
        steps=settings.planned_steps,
        passes=count_passes(settings.verify_prompts, settings.verify_noises) * len(loaded),
        on_progress=on_progress,
    )
    meter.enter("preparing", "encoding instructions")
    settings = prepare(loaded, photo, settings)
    saving = saved_as(default_output(photo.path), quality)
    saved, verification, _ = reach(
        "strong",
        photo,
        loaded,
        settings,
        saving=saving,
        save=lambda picture: saving(picture).detach(),
        meter=meter,
    )
    seen = measure_visibility(photo.pixels, saved)
    said = f"protected: attention fell by {verification.drop:.0%}; {seen.sentence}"
    write_preview(draw_preview(photo.pixels, saved, ("photo", said)), target)
    return Preview(target, verification, seen, settings)


def preview_output(photo: Path) -> Path:
    """`NAME.preview.png` beside the photo."""
    return photo.with_name(f"{photo.stem}.preview.png")
