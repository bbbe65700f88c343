"""Many photos with one loaded editor; one bad photo never stops the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar, Unpack, cast

from decontext.editors import Editor, load_editor
from decontext.errors import CancelledError, DecontextError
from decontext.keywords import SettingsKeywords, choose_settings
from decontext.photo.sources import PhotoSource, to_photo
from decontext.progress import Cancel, OnMeasure, OnProgress, OnStep
from decontext.protect import protect
from decontext.saving import Result, default_output
from decontext.settings import ProtectSettings

Source = TypeVar("Source", bound=PhotoSource)


class ProtectKeywords(SettingsKeywords, total=False):
    """The keywords of `protect`, without `output`."""

    settings: ProtectSettings | None
    preset: str | None
    force: bool
    quality: int | None
    accept_weak: bool
    on_step: OnStep | None
    on_measure: OnMeasure | None
    on_progress: OnProgress | None
    cancel: Cancel | None


def protect_many(
    photos: Iterable[Source],
    editor: Editor | str,
    *,
    folder: str | Path | None = None,
    **options: Unpack[ProtectKeywords],
) -> Iterator[tuple[Source, Result | DecontextError]]:
    """Protect photos one after the other; yields each with its result, or with what went wrong.

    A photo is read when its turn comes, and the next one when the iterator is asked for it: closing
    the iterator stops. `CancelledError` and exceptions of your own callbacks come out of it.

    Args:
        photos: as `protect` takes them.
        editor: an editor, or the name of one; it is loaded once.
        folder: where to save, as `NAME.protected.EXT`; nothing is written where None.
        options: as of `protect`, without `output`.

    Raises:
        InputError: an option cannot be used; before the first photo.
        EditorError: the editor cannot be loaded; before the first photo.
    """
    choose_settings(options.get("settings"), options.get("preset"), **_settings_among(options))
    loaded = load_editor(editor) if isinstance(editor, str) else editor
    return _protect_each(photos, loaded, folder, options)


def _settings_among(options: ProtectKeywords) -> SettingsKeywords:
    """What else than the other keywords of `protect` there is, misspelt names among them."""
    others = set(ProtectKeywords.__annotations__) - set(SettingsKeywords.__annotations__)
    found = {name: value for name, value in options.items() if name not in others}
    return cast(SettingsKeywords, found)


def _protect_each(
    photos: Iterable[Source], editor: Editor, folder: str | Path | None, options: ProtectKeywords
) -> Iterator[tuple[Source, Result | DecontextError]]:
    for source in photos:
        outcome: Result | DecontextError
        try:
            photo = to_photo(source)
            output = folder and Path(folder) / default_output(photo.path).name
            outcome = protect(photo, editor, output=output or None, **options)
        except CancelledError:
            raise
        except DecontextError as error:
            outcome = error
        yield source, outcome
