"""Serve the page with Gradio's usual options; startup errors are one sentence."""

import ipaddress
import os
import socket
from collections.abc import Sequence
from pathlib import Path

import gradio as gr
from gradio.utils import LRUCache
from starlette.middleware import Middleware

from sempa.errors import SempaError
from sempa.service.adapters import Adapters
from sempa.service.guard import Guard
from sempa.service.jobs import TrainingJobs
from sempa.service.openai_routes import openai_routes
from sempa.ui.page import build_page
from sempa.ui.style import CSS, HEAD

MAX_UPLOAD, MAX_UPLOAD_TO_TRAIN = "5mb", "100mb"
MAX_QUEUE = 64
ICON = Path(__file__).with_name("icon.svg")


def launch(
    adapters: Adapters,
    *,
    jobs: TrainingJobs | None = None,
    server_name: str | None = None,
    server_port: int | None = None,
    share: bool = False,
    auth: tuple[str, str] | None = None,
    mcp: bool = False,
    allow_hosts: Sequence[str] = (),
    block: bool = True,
) -> gr.Blocks:
    """Build and serve the page; return when it stops, or immediately if `block` is false.

    With `jobs`, visitors may train. Where the app listens on this machine alone without a login, or `allow_hosts` names
    hosts, other hosts and origins are refused.
    Raises: SempaError if the address is not local, the port is in use or the MCP package is missing.
    """
    name = server_name or os.environ.get("GRADIO_SERVER_NAME") or "127.0.0.1"
    local = _own_address(name).is_loopback
    closed = bool(allow_hosts) or (local and not auth and not share)
    if server_port is not None and not 1 <= server_port <= 65_535:
        raise SempaError(f"{server_port} is not a port: choose one from 1024 to 65535 with --server-port.")
    page = build_page(adapters, jobs).queue(max_size=MAX_QUEUE)
    # Gradio drops messages of old sessions but not their sets of events: each call of an endpoint would leave one.
    page._queue.pending_event_ids_session = LRUCache(page._queue.pending_messages_per_session.max_size)
    try:
        page.launch(
            server_name=server_name,
            server_port=server_port,
            share=share,
            auth=auth,
            mcp_server=mcp,
            app_kwargs={
                "routes": openai_routes(adapters),
                "middleware": [
                    Middleware(
                        Guard, key=":".join(auth) if auth else None, hosts=[name, *allow_hosts] if closed else None
                    )
                ],
                "openapi_url": None,  # it would answer without login
            },
            prevent_thread_lock=not block,
            theme=_theme(),
            css=CSS,
            head=HEAD,
            favicon_path=str(ICON),
            footer_links=["api", "settings"],
            max_file_size=MAX_UPLOAD_TO_TRAIN if jobs else MAX_UPLOAD,
            enable_monitoring=False,
            ssr_mode=False,  # a Node proxy would not forward /v1
            show_error=True,
        )
    except OSError as error:
        if "port" in str(error).lower() or "address" in str(error).lower():
            asked = f"Port {server_port} is" if server_port else "All ports from 7860 are"
            raise SempaError(f"{asked} in use: choose another with --server-port.") from error
        raise
    except ImportError as error:
        raise SempaError('--mcp needs the MCP package: pip install "gradio[mcp]".') from error
    return page


def _own_address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return the address of a name of this machine; raise SempaError for others, where Gradio would try 100 ports."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(name, 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.bind(address)
    except OSError as error:
        raise SempaError(
            f"{name} is not an address of this machine ({error.strerror or error}): use 127.0.0.1 for this one, "
            f"0.0.0.0 for every network."
        ) from error
    return ipaddress.ip_address(address[0])


def _theme() -> gr.themes.Base:
    """Return the page's theme: system fonts, so nothing is fetched, and a contrast of at least 4.5:1."""
    theme = gr.themes.Base(
        primary_hue="teal",
        neutral_hue="slate",
        font=["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"],
        font_mono=["ui-monospace", "Menlo", "Consolas", "monospace"],
    )
    return theme.set(
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_600",
        button_primary_text_color="white",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        block_label_text_color="*neutral_700",
        block_title_text_color="*neutral_700",
        link_text_color_dark="*primary_300",
        link_text_color_hover_dark="*primary_200",
        link_text_color_visited_dark="*primary_300",
        link_text_color_active_dark="*primary_200",
    )
