"""`sempa serve`: the endpoints without the page. And the options that it shares with the app."""

import argparse
import socket
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from sempa.embedding.command import add_command, add_model_options, open_encoders
from sempa.errors import SempaError

if TYPE_CHECKING:
    from sempa.service.adapters import Adapters

FIRST_PORT = 7860


def add_server_options(made: argparse.ArgumentParser) -> None:
    """Add the options that choose the base, its adapters and the address to listen on."""
    add_model_options(made)
    made.add_argument(
        "--adapter",
        action="append",
        help="PEFT folder or hub id; repeatable, clients choose (default: those shipped for the default base)",
    )
    made.add_argument(
        "--server-name", help="address to listen on (default: 127.0.0.1; use 0.0.0.0 to accept other machines)"
    )
    made.add_argument("--server-port", type=int, help=f"port (default: the first free one from {FIRST_PORT})")
    made.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="also accept requests for this host name, as a reverse proxy passes them on; repeatable",
    )


def open_adapters(args: argparse.Namespace) -> "Adapters":
    """Load the base and the adapters that the arguments name, by default the shipped ones."""
    from sempa.models.adapters import shipped_adapters
    from sempa.service.adapters import Adapters

    return Adapters(open_encoders(args, args.adapter or shipped_adapters(args.base)))


def add_serve(commands: Any) -> None:
    """Add `sempa serve`."""
    made = add_command(
        commands, "serve", _serve, "serve embeddings, reranking and chat to OpenAI clients, without a page"
    )
    add_server_options(made)
    made.add_argument("--api-key", help="require this key (default: none)")


def _serve(args: argparse.Namespace) -> None:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.middleware import Middleware

    from sempa.service.guard import Guard
    from sempa.service.openai_routes import openai_routes

    with _listening(args.server_name or "127.0.0.1", args.server_port) as listening:
        adapters = open_adapters(args)
        host, port = listening.getsockname()[:2]
        closed = args.allow_host or (ip_address(host).is_loopback and not args.api_key)
        hosts = [args.server_name or host, *args.allow_host] if closed else None
        guard = Middleware(Guard, key=args.api_key, hosts=hosts)
        app = Starlette(routes=openai_routes(adapters), middleware=[guard])
        models = ", ".join(["base", *filter(None, adapters.names)])
        print(f"Serving {models} at http://{f'[{host}]' if ':' in host else host}:{port}/v1", flush=True)
        config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=5)
        uvicorn.Server(config).run([listening])


def _listening(name: str, port: int | None) -> socket.socket:
    """Return a socket that listens, by default on the first free port; raise SempaError if there is none."""
    family = socket.AF_INET6 if ":" in name else socket.AF_INET
    for one in [port] if port is not None else range(FIRST_PORT, FIRST_PORT + 100):
        try:
            return socket.create_server((name, one), family=family)
        except (OSError, OverflowError) as error:
            failed = error
    raise SempaError(
        f"Cannot listen on {name}, port {one} ({failed}): choose others with --server-name, --server-port."
    )
