"""`decontext app`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from decontext.cli.options import (
    BASICS,
    MACHINE,
    EditorsOptions,
    RunOptions,
    StepsOption,
    option,
)
from decontext.cli.terminal import Terminal
from decontext.editors import DEMONSTRATIONS, editor_names, list_editors
from decontext.errors import InputError

if TYPE_CHECKING:
    from decontext.app.service import Offer

HOST, PORT = "127.0.0.1", 7860
SHORTEST_PASSWORD = 8


@dataclass(frozen=True, kw_only=True)
class OfferOptions(EditorsOptions):
    """The editors that are offered; without one there is the demonstration."""

    editor: Annotated[
        list[str] | None,
        option(
            "--editor",
            "Offered beside kontext-mini; again for another one, also as NAME=WEIGHTS.",
            panel=BASICS,
            metavar="NAME",
            default="kontext-mini alone",
            choices=editor_names(),
        ),
    ] = None


def app(
    *,
    model: OfferOptions,
    show: RunOptions,
    steps: StepsOption = None,
    host: Annotated[
        str,
        option(
            "--host",
            "Where others may reach it, such as 0.0.0.0; needs --password.",
            panel=BASICS,
            metavar="ADDRESS",
            default=f"{HOST}, this machine alone",
        ),
    ] = HOST,
    port: Annotated[
        int,
        option(
            "--port",
            "Port; 0 takes a free one.",
            panel=BASICS,
            metavar="N",
            default=PORT,
            between=(0, 65535),
        ),
    ] = PORT,
    password: Annotated[
        str | None,
        option(
            "--password",
            "Needed to open the page; better in DECONTEXT_PASSWORD.",
            panel=BASICS,
            metavar="TEXT",
            default="none",
            envvar="DECONTEXT_PASSWORD",
        ),
    ] = None,
    names: Annotated[
        str | None,
        option(
            "--names",
            "Names under which others open it, with commas; others are refused.",
            panel=MACHINE,
            metavar="NAMES",
            default="with --host: any",
        ),
    ] = None,
    largest_file: Annotated[
        int,
        option(
            "--largest-file",
            "Megabytes that one file may have.",
            panel=MACHINE,
            metavar="MB",
            default=100,
            between=(1, 10_000),
        ),
    ] = 100,
    largest_photo: Annotated[
        int,
        option(
            "--largest-photo",
            "Megapixels that one photo may have.",
            panel=MACHINE,
            metavar="MP",
            default=50,
            between=(1, 1000),
        ),
    ] = 50,
    most_photos: Annotated[
        int,
        option(
            "--most-photos",
            "Photos of one run.",
            panel=MACHINE,
            metavar="N",
            default=200,
            between=(1, 10_000),
        ),
    ] = 200,
    most_waiting: Annotated[
        int,
        option(
            "--most-waiting",
            "Runs that may wait for a device.",
            panel=MACHINE,
            metavar="N",
            default=50,
            between=(1, 10_000),
        ),
    ] = 50,
) -> int:
    """Open a page in the browser for people who use no terminal, and the same by HTTP.

    It is for this machine alone unless --host says otherwise. Photos stay here, in a private
    folder, and are deleted when a page is closed. Ctrl-C stops it.
    """
    terminal = Terminal(show)
    check_reach(host, password)
    from decontext.app.server import require_gradio

    require_gradio()
    from decontext.app.guard import LOCAL
    from decontext.app.server import build_app, serve
    from decontext.app.service import open_service
    from decontext.app.work import Limits
    from decontext.cli.prepare import show_log
    from decontext.settings import ProtectSettings

    hosts = LOCAL if is_local(host) else tuple(filter(None, (names or "").split(",")))
    show_log(terminal)
    settings = replace(ProtectSettings(), method="least-visible")
    if steps is not None:
        settings = replace(settings, steps=steps)
    limits = Limits(largest_file, largest_photo, most_photos, most_waiting)
    devices = [model.device] if model.device else None
    with open_service(
        find_offers(model), limits=limits, settings=settings, devices=devices
    ) as service:
        if service.editors.only_demonstration:
            from decontext.report import DEMONSTRATION

            terminal.warn(DEMONSTRATION)
        if not is_local(host):
            terminal.warn(
                "others in this network can open the page and use this machine's device. What they "
                "send goes over the network unencrypted, the password too: put a server with TLS "
                "before it where you do not trust the network."
            )
        web = build_app(service, hosts=hosts, password=password)

        def ready(address: str) -> None:
            terminal.say(f"open {address}")
            terminal.show_json({"address": address})

        serve(web, service, host=host, port=port, on_ready=ready)
    return 0


def check_reach(host: str, password: str | None) -> None:
    """Raises: InputError: others could use the page without a password, or with a short one."""
    if not is_local(host) and not password:
        raise InputError(
            f"--host {host} lets everybody in this network open the page; it needs a password.",
            "Set DECONTEXT_PASSWORD, or add --password TEXT.",
        )
    if password is not None and len(password) < SHORTEST_PASSWORD:
        raise InputError(
            f"the password has {len(password)} letters; it must have {SHORTEST_PASSWORD}."
        )


def is_local(host: str) -> bool:
    """Whether only this machine can reach such an address."""
    return host in ("127.0.0.1", "localhost", "::1")


def find_offers(model: EditorsOptions) -> list[Offer]:
    """The editors that were named, and the demonstration. Raises: InputError."""
    from decontext.app.service import Offer
    from decontext.editors import load_editor

    known = {info.name: info for info in list_editors()}
    wanted = {str(one.editor): one for one in model.each() if one.editor}
    given = model.editor or []
    if len(wanted) < len(given):
        raise InputError(f"{' and '.join(given)} were given; each editor may be offered once.")
    for name in wanted:
        if name not in known:
            load_editor(name)  # says what there is
    offers = []
    for name in dict.fromkeys([*wanted, DEMONSTRATIONS[0]]):
        options: dict[str, Any] = {}
        if name in wanted:
            one = wanted[name]
            own = {"parts": one.parts, "stream_weights": one.stream_weights}
            options = {"source": one.weights, "dtype": one.precision}
            options |= {key: value for key, value in own.items() if value}
        offers.append(Offer(known[name], partial(_load, name, options)))
    return offers


def _load(name: str, options: dict[str, Any], device: str) -> Any:
    from decontext.editors import load_editor

    return load_editor(name, device=device, **options)
