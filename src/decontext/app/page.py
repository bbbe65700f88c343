"""The page: which parts there are, and what happens when one is used. The only module with Gradio.

Thin: it hands what a visitor does to `service` and shows what `fragments` makes of it. The same
functions are there by HTTP under the names `/protect`, `/edit` and `/verify`, see docs/app.md.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import gradio as gr

from decontext import __version__
from decontext.app.beside import read_beside
from decontext.app.fragments import Fragments
from decontext.app.jobs import Job
from decontext.app.served import describe_checked, describe_progress, describe_proof, describe_run
from decontext.app.service import Desk, Service
from decontext.app.texts import Texts
from decontext.app.work import Choice, Given
from decontext.errors import DecontextError, InputError
from decontext.photo.images import Metadata
from decontext.settings import FALLS

SECONDS_BETWEEN_LOOKS = 0.3
COOKIE = "decontext_visitor"
METADATA = ("keep", "no-location", "none")
FORMATS = ["JPEG", "PNG", "WebP", "TIFF", "BMP", "AVIF"]
FORMATS += ["HEIC"] if find_spec("pillow_heif") else []


def take_uploads_only(uploads: Path) -> None:
    """From now on Gradio takes no other files as inputs than those below this folder.

    By itself it fetches what an address names from other servers, and under a web server of one's
    own it copies any file of this machine: whoever calls a function could have both.
    """

    async def stay(block: Any, path: Any) -> str | None:
        if path is None:
            return None
        if not os.path.realpath(str(path)).startswith(f"{os.path.realpath(uploads)}{os.sep}"):
            raise gr.Error("this is no uploaded file.", print_exception=False)
        return str(path)

    parts: Any = gr.blocks.Block
    parts.async_move_resource_to_block_cache = stay


class Page:
    """The page in one language."""

    def __init__(self, service: Service, texts: Texts) -> None:
        self.service, self.t = service, texts
        self.draw = Fragments(service, texts)

    def build(self) -> gr.Blocks:
        """All parts, connected."""
        with gr.Blocks(title=self.t("title"), analytics_enabled=False) as blocks:
            gr.HTML(self.draw.head())
            if self.service.editors.only_demonstration:
                gr.HTML(self.draw.banner())
            self.announcer = gr.HTML("", elem_id="dc-announce")
            with gr.Tabs():
                with gr.Tab(self.t("tab.protect"), id="protect"):
                    self._protect_tab()
                with gr.Tab(self.t("tab.verify"), id="verify"):
                    self._verify_tab()
                with gr.Tab(self.t("tab.safe"), id="safe"):
                    gr.Markdown(self.t.safe, elem_classes="dc-safe")
            gr.HTML(f'<p class="dc-soft dc-foot">{self.t("footer", version=__version__)}</p>')
            self._functions()
            blocks.unload(lambda: None)  # Pages tell that they are open only where this is.
        blocks.queue(default_concurrency_limit=None, max_size=1000)
        return cast(gr.Blocks, blocks)

    # What is on it

    def _protect_tab(self) -> None:
        t, limits = self.t, self.service.limits
        gr.HTML(f'<p class="dc-lead">{t("lead")}</p>')
        self.files = gr.File(
            label=t("photos.label"),
            file_count="multiple",
            height=150,
            elem_id="photos",
        )
        hint = t(
            "photos.hint",
            formats=", ".join(FORMATS),
            megabytes=limits.megabytes,
            megapixels=limits.megapixels,
            photos=limits.photos,
        )
        gr.HTML(f'<p class="dc-soft">{hint}</p>')
        self.names = gr.HTML(
            self.draw.photos(), elem_id="names", js_on_load=read_beside("names.js")
        )
        self.clear = gr.Button(t("photos.clear"), size="sm", visible=False)
        with gr.Column(elem_classes="dc-plan"):
            self._choices()
        self.status = gr.HTML("", elem_id="status")
        self.table = gr.HTML("", elem_id="table")
        self.chosen = gr.Dropdown(
            label=t("result.choose"), choices=[], visible=False, interactive=True
        )
        self.result = gr.HTML("", elem_id="result")
        self._proof_part()

    def _choices(self) -> None:
        """What is chosen before a run, and its start; on a desk the preview stands beside it."""
        t, editors = self.t, self.service.editors
        self.editor = gr.Radio(
            editors.names,
            value=editors.names[0],
            label=t("editor.label"),
            elem_classes="dc-choices dc-long",
            visible=len(editors.names) > 1,
        )
        self.strength = gr.Radio(
            [(t(f"strength.{name}"), name) for name in FALLS],
            value="standard",
            label=t("strength.label"),
            elem_classes="dc-choices",
            elem_id="strength",
        )
        self.preview = gr.HTML(self.draw.preview(editors.names[0], "standard"), elem_id="preview")
        with gr.Accordion(t("more.label"), open=False):
            self.metadata = gr.Radio(
                [(t(f"metadata.{name}"), name) for name in METADATA],
                value="keep",
                label=t("metadata.label"),
                elem_classes="dc-choices dc-long",
            )
            self.weak = gr.Checkbox(label=t("weak.label"), info=t("weak.info"))
        self.start = gr.Button(t("start"), variant="primary", elem_id="start")
        self.cancel = gr.Button(t("cancel"), visible=False, elem_id="cancel")

    def _proof_part(self) -> None:
        t, limits = self.t, self.service.limits
        with gr.Column(visible=False) as self.proof_part:
            gr.HTML(f"<h2>{t('proof.title')}</h2>")
            self.proof_lead = gr.HTML("")
            self.instruction = gr.Textbox(
                label=t("proof.instruction"),
                value=t("proof.example"),
                max_length=limits.letters,
                html_attributes=gr.InputHTMLAttributes(autocomplete="off", spellcheck=False),
                elem_id="instruction",
            )
            self.prove = gr.Button(t("proof.start"), elem_id="prove")
            self.proof_status = gr.HTML("", elem_id="proof-status")
            self.proof = gr.HTML("", elem_id="proof")

    def _verify_tab(self) -> None:
        t, editors = self.t, self.service.editors
        gr.HTML(f"<p>{t('verify.lead')}</p>")
        with gr.Row():
            self.later = gr.File(
                label=t("verify.protected"), height=150, min_width=280, elem_id="protected"
            )
            self.before = gr.File(
                label=t("verify.original"), height=150, min_width=280, elem_id="original"
            )
        self.verify_editor = gr.Radio(
            editors.names,
            value=editors.names[0],
            label=t("verify.editor"),
            elem_classes="dc-choices dc-long",
            visible=len(editors.names) > 1,
        )
        self.check = gr.Button(t("verify.start"), variant="primary", elem_id="check")
        self.stop_check = gr.Button(t("cancel"), visible=False, elem_id="stop-check")
        self.check_status = gr.HTML("", elem_id="check-status")
        self.checked = gr.HTML("", elem_id="checked")

    # What happens

    def _functions(self) -> None:
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        files: dict[str, Any] = {"preprocess": False}  # Their own names would be lost.
        self.files.upload(
            self.take,
            self.files,
            [self.files, self.names, self.clear, self.status],
            **quiet,
            **files,
        )
        self.clear.click(self.remove, None, [self.names, self.clear], **quiet)
        self.names.click(self.remove_one, None, [self.names, self.clear, self.announcer], **quiet)
        for choice in (self.editor, self.strength):
            choice.change(self.show_preview, [self.editor, self.strength], self.preview, **quiet)
        shown = [self.table, self.chosen, self.result, self.proof_part, self.proof_lead]
        self.start.click(
            self.run_protect,
            [self.editor, self.strength, self.metadata, self.weak],
            [self.start, self.cancel, self.status, self.announcer, *shown, self.proof],
            **quiet,
        )
        self.cancel.click(self.stop, None, None, **quiet)
        self.chosen.input(
            self.choose, self.chosen, [self.result, self.proof, self.proof_part], **quiet
        )
        proving = [self.prove, self.proof_status, self.announcer, self.proof]
        for happens in (self.prove.click, self.instruction.submit):
            happens(self.run_edit, self.instruction, proving, **quiet)
        checking = [self.check, self.stop_check, self.check_status, self.announcer, self.checked]
        self.check.click(
            self.run_verify,
            [self.later, self.before, self.verify_editor],
            checking,
            **quiet,
            **files,
        )
        self.stop_check.click(self.stop, None, None, **quiet)
        self._served()

    def _served(self) -> None:
        """The same by HTTP; nothing of it is seen."""
        answer, number = gr.JSON(visible=False), gr.Number(0, precision=0, visible=False)
        call = gr.Button(visible=False)
        chosen = [self.files, self.editor, self.strength, self.metadata, self.weak]
        call.click(self.serve_protect, chosen, answer, api_name="protect", preprocess=False)
        call.click(self.serve_edit, [self.instruction, number], answer, api_name="edit")
        checked = [self.later, self.before, self.verify_editor]
        call.click(self.serve_cancel, None, answer, api_name="cancel")
        call.click(self.serve_verify, checked, answer, api_name="verify", preprocess=False)

    def take(self, files: list[Any] | None, request: gr.Request) -> list[Any]:
        """Photos were dropped."""
        desk, notice = self._desk(request), ""
        try:
            desk.photos += self.service.take(desk, _uploads(files))
        except DecontextError as error:
            notice = self.draw.notice(error)
        return [None, self.draw.photos(desk), gr.update(visible=bool(desk.photos)), notice]

    def remove(self, request: gr.Request) -> list[Any]:
        """The photos are to be forgotten."""
        self._desk(request).photos = []
        return [self.draw.photos(), gr.update(visible=False)]

    def remove_one(self, which: gr.EventData, request: gr.Request) -> list[Any]:
        """One photo is to be forgotten: its place in the list and its name."""
        desk, said = self._desk(request), ""
        if desk.forget(int(which.number), str(which.name)):
            said = escape(self.t("photos.removed", name=str(which.name)))
        return [self.draw.photos(desk), gr.update(visible=bool(desk.photos)), said]

    def show_preview(self, editor: str, strength: str) -> str:
        """Another editor or strength was chosen."""
        return self.draw.preview(editor, strength)

    def stop(self, request: gr.Request) -> None:
        """Cancel was pressed."""
        self.service.cancel(self._desk(request))

    def choose(self, number: int, request: gr.Request) -> list[Any]:
        """Another photo of the run is to be shown."""
        desk = self._desk(request)
        saved = False
        if desk.protected is not None:
            desk.chosen = min(max(0, int(number)), len(desk.protected.outcomes) - 1)
            saved = desk.protected.outcomes[desk.chosen].protected is not None
        return [self.draw.result(desk), "", gr.update(visible=saved)]

    async def run_protect(
        self, editor: str, strength: str, metadata: str, weak: bool, request: gr.Request
    ) -> AsyncIterator[list[Any]]:
        """Start was pressed."""
        blank = ["", gr.update(visible=False), "", gr.update(visible=False), "", ""]
        key, desk = self._key(request), self._desk(request)
        choice = Choice(editor, strength, cast(Metadata, metadata), weak)
        try:
            if not desk.photos:
                raise InputError("there is no photo yet.", "Drop one on the page first.")
            job = self.service.protect(key, desk, tuple(desk.photos), choice)
        except DecontextError as error:
            yield [gr.skip(), gr.skip(), self.draw.notice(error), "", *[gr.skip()] * 6]
            return
        desk.protected, desk.chosen = None, 0
        first = [gr.update(interactive=False), gr.update(visible=True)]
        async for status, said in self._watch(job):
            yield [*first, status, said, *blank]
            first, blank = [gr.skip(), gr.skip()], [gr.skip()] * 6
        buttons = [gr.update(interactive=True), gr.update(visible=False)]
        status, said = self._end(job)
        if job.state != "done":
            yield [*buttons, status, said, *blank]
            return
        desk.protected = job.result
        saved = (n for n, one in enumerate(job.result.outcomes) if one.protected is not None)
        desk.chosen = next(saved, 0)
        yield [*buttons, "", said, *self._results(desk), ""]

    def _results(self, desk: Desk) -> list[Any]:
        """What is shown at the end of a run."""
        outcomes = desk.protected.outcomes if desk.protected else ()
        names = [(outcome.name, number) for number, outcome in enumerate(outcomes)]
        saved = bool(outcomes) and outcomes[desk.chosen].protected is not None
        editor = desk.protected.editor if desk.protected else ""
        return [
            self.draw.table(desk),
            gr.update(choices=names, value=desk.chosen, visible=len(names) > 1),
            self.draw.result(desk),
            gr.update(visible=saved),
            f"<p>{self.t('proof.lead', editor=editor)}</p>",
        ]

    async def run_edit(self, instruction: str, request: gr.Request) -> AsyncIterator[list[Any]]:
        """The proof was asked for."""
        key, desk = self._key(request), self._desk(request)
        try:
            job = self.service.edit_both(key, desk, instruction)
        except DecontextError as error:
            yield [gr.skip(), self.draw.notice(error), "", gr.skip()]
            return
        async for status, said in self._watch(job):
            yield [gr.update(interactive=False), status, said, ""]
        status, said = self._end(job)
        found = self.draw.proof(desk, job.result) if job.state == "done" else ""
        yield [gr.update(interactive=True), status, said, found]

    async def run_verify(
        self, later: Any, before: Any, editor: str, request: gr.Request
    ) -> AsyncIterator[list[Any]]:
        """Verify was pressed."""
        key, desk = self._key(request), self._desk(request)
        try:
            given = self._two(desk, later, before)
            job = self.service.verify(key, desk, given[0], given[1], editor)
        except DecontextError as error:
            yield [gr.skip(), gr.skip(), self.draw.notice(error), "", ""]
            return
        async for status, said in self._watch(job):
            yield [gr.update(interactive=False), gr.update(visible=True), status, said, ""]
        status, said = self._end(job)
        found = self.draw.checked(job.result) if job.state == "done" else ""
        yield [gr.update(interactive=True), gr.update(visible=False), status, said, found]

    # By HTTP

    async def serve_protect(
        self,
        photos: list[Any] | None,
        editor: str,
        strength: str,
        metadata: str,
        accept_weak: bool,
        request: gr.Request,
    ) -> AsyncIterator[dict[str, Any]]:
        """Protect photos; the last answer has verdicts, and addresses of photos and reports."""
        key, desk = self._key(request), self._desk(request)
        choice = Choice(editor, strength, cast(Metadata, metadata), accept_weak)
        with _as_gradio():
            given = self.service.take(desk, _uploads(photos))
            job = self.service.protect(key, desk, given, choice)
        async for told in self._tell(job):
            yield told
        desk.protected, desk.chosen = job.result, 0
        yield describe_run(self.service, desk)

    async def serve_edit(
        self, instruction: str, number: int, request: gr.Request
    ) -> AsyncIterator[dict[str, Any]]:
        """Edit a photo that this session protected, and its protected copy, alike."""
        key, desk = self._key(request), self._desk(request)
        with _as_gradio():
            self.choose(number, request)
            job = self.service.edit_both(key, desk, instruction)
        async for told in self._tell(job):
            yield told
        yield describe_proof(self.service, desk, job.result)

    async def serve_verify(
        self, protected: Any, original: Any, editor: str, request: gr.Request
    ) -> AsyncIterator[dict[str, Any]]:
        """Measure a protected photo as it is, and after what sites do to photos."""
        key, desk = self._key(request), self._desk(request)
        with _as_gradio():
            given = self._two(desk, protected, original)
            job = self.service.verify(key, desk, given[0], given[1], editor)
        async for told in self._tell(job):
            yield told
        yield describe_checked(job.result)

    def serve_cancel(self, request: gr.Request) -> dict[str, Any]:
        """Stop what this session asked for last."""
        self.stop(request)
        return {"state": "cancelled"}

    async def _tell(self, job: Job) -> AsyncIterator[dict[str, Any]]:
        """How far a job is, until it is done. Raises: gr.Error: it was not."""
        async for _ in self._watch(job):
            yield describe_progress(self.service, job)
        if job.state != "done":
            raise gr.Error(str(job.error) if job.error else "cancelled", print_exception=False)

    # Shared

    async def _watch(self, job: Job) -> AsyncIterator[tuple[str, Any]]:
        """What is shown of a job while it lasts, each time something changed."""
        shown, stage = "", ""
        try:
            while not job.ended:
                drawn, now = self.draw.progress(job), self.draw.stage(job)
                if drawn != shown:
                    yield drawn, now if now != stage else gr.skip()
                    shown, stage = drawn, now
                await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
        finally:
            if not job.ended:  # Nobody looks any more.
                self.service.queue.cancel(job)

    def _end(self, job: Job) -> tuple[str, str]:
        """What is shown and said of a job that has ended."""
        if job.state == "cancelled":
            said = self.t("progress.cancelled")
            return f'<p class="dc-soft">{said}</p>', said
        if job.error is not None:
            return self.draw.notice(job.error), ""
        return "", self.t("result.title")

    def _two(self, desk: Desk, later: Any, before: Any) -> list[Given]:
        """The photos of two uploads. Raises: InputError: one of them is missing."""
        if not later or not before:
            raise InputError(
                "one of the two photos is missing.", "Drop the protected photo and the original."
            )
        return [self.service.take_once(desk, *_uploads(one)[0]) for one in (later, before)]

    def _key(self, request: gr.Request) -> str:
        return str(request.session_hash)

    def _desk(self, request: gr.Request) -> Desk:
        try:
            return self.service.desk(self._key(request), request.cookies.get(COOKIE, ""))
        except InputError as error:
            raise gr.Error(str(error), print_exception=False) from None


class _as_gradio:  # noqa: N801
    """Turns an error of ours into one that Gradio sends to who called."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if isinstance(error, DecontextError):
            raise gr.Error(str(error), print_exception=False) from None


def _uploads(files: Any) -> list[tuple[str, str]]:
    """Uploaded files as (path, own name), from what browsers and programs send."""
    found = []
    for one in [files] if isinstance(files, dict) else files or ():
        if not isinstance(one, dict) or not isinstance(one.get("path"), str):
            raise InputError("this is no uploaded file.", "Drop the photo on the page.")
        name = one.get("orig_name") or one["path"].rsplit("/", 1)[-1]
        found.append((one["path"], str(name)))
    return found
