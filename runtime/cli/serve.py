"""`agenttts serve-embedded`: the embedded models on an OpenAI-compatible endpoint."""

from __future__ import annotations

import click

from agenttts.runtime.cli import common


@click.command("serve-embedded")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8400,
    show_default=True,
    help="Port; 0 picks a free one.",
)
@click.option(
    "--queue-limit",
    type=click.IntRange(min=1),
    default=4096,
    show_default=True,
    help="Waiting requests before 429.",
)
@click.option("--parent-pid", type=int, default=None, help="Exit when this process is gone.")
def serve_embedded(host: str, port: int, queue_limit: int, parent_pid: int | None) -> None:
    """Serve the embedded language models (tiny, small, base) until interrupted.

    Prints one JSON line with the URL when ready. Any OpenAI client can use it; no key is needed.
    """
    from agenttts.runtime.embedded.server import main

    try:
        main(host=host, port=port, parent_pid=parent_pid, queue_limit=queue_limit)
    except OSError as error:
        what = f"cannot listen on {host}:{port} ({error.strerror or error})"
        raise common.Stop(f"{what}. Choose another --host or --port.", common.Exit.MISTAKE) from None
