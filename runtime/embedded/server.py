"""The embedded models behind an OpenAI-compatible endpoint.

The engine computes in its own thread, so the event loop answers /health at any load. The server prints one JSON line
with its URL when it is ready and ends on SIGTERM, SIGINT or when the process it was started for is gone.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from agenttts.runtime.embedded.batch import Choice
from agenttts.runtime.embedded.catalog import CATALOG
from agenttts.runtime.embedded.chat import ChatRequest, RequestError, chunks, parse, reply, usage
from agenttts.runtime.embedded.engine import Engine, QueueFull
from agenttts.runtime.embedded.model import Model, load
from aiohttp import web

BODY_BYTES = 1 << 20
PARENT_POLL_S = 0.5
ENGINE = web.AppKey("engine", Engine)
MODELS = web.AppKey("models", tuple[str, ...])
STATS = web.AppKey("stats", dict[str, Counter[str]])
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def create_app(models: Mapping[str, Model], queue_limit: int, body_bytes: int = BODY_BYTES) -> web.Application:
    """Build the application; its engine runs from start-up to clean-up.

    Args:
        queue_limit: most unfinished requests before further ones get 429.
    """
    app = web.Application(middlewares=[_errors], client_max_size=body_bytes)
    app[ENGINE] = Engine(models, queue_limit)
    app[MODELS] = tuple(models)
    app[STATS] = {name: Counter(_usage(0, 0, 0, 0)) for name in models}
    app.cleanup_ctx.append(_engine_runs)
    app.add_routes(
        [
            web.post("/v1/chat/completions", _complete),
            web.get("/v1/models", _list_models),
            web.get("/v1/models/{model}", _show_model),
            web.get("/health", _health),
            web.get("/stats", _stats),
        ]
    )
    return app


def main(host: str, port: int, parent_pid: int | None, queue_limit: int) -> None:
    """Serve all sizes until told to stop.

    Args:
        port: 0 takes a free one; the URL printed on standard output names it.
        parent_pid: end when this process is gone.
    """
    asyncio.run(_serve(host, port, parent_pid, queue_limit))


async def _serve(host: str, port: int, parent_pid: int | None, queue_limit: int) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    runner = web.AppRunner(create_app({name: load(name) for name in CATALOG}, queue_limit), access_log=None, handler_cancellation=True)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, backlog=1024, shutdown_timeout=1.0)
        await site.start()
        bound = runner.addresses[0][1]
        shown = f"[{host}]" if ":" in host else host
        print(json.dumps({"url": f"http://{shown}:{bound}/v1", "pid": os.getpid()}), flush=True)
        await _until_stopped(stopped, parent_pid)
    finally:
        await runner.cleanup()


async def _until_stopped(stopped: asyncio.Event, parent_pid: int | None) -> None:
    while not stopped.is_set() and (parent_pid is None or _runs(parent_pid)):
        try:
            await asyncio.wait_for(stopped.wait(), PARENT_POLL_S)
        except TimeoutError:
            continue


def _runs(pid: int) -> bool:
    """Say whether a process exists; a child whose parent died is adopted by another, so the parent counts too."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


async def _engine_runs(app: web.Application) -> Any:
    app[ENGINE].start()
    yield
    await asyncio.to_thread(app[ENGINE].stop)


async def _complete(request: web.Request) -> web.StreamResponse:
    asked = parse(await _json(request), request.app[MODELS], lambda: secrets.randbits(63))
    try:
        work = request.app[ENGINE].submit(asked.ask)
    except QueueFull as full:
        raise RequestError(f"The server is busy: {full} Retry later.", code="queue_full", status=429) from full
    choices = await asyncio.wrap_future(work.future)
    spent = usage(asked.ask, choices)
    request.app[STATS][asked.ask.model].update(
        _usage(1, len(choices), spent["prompt_tokens"], spent["completion_tokens"])
    )
    identity, created = f"chatcmpl-{secrets.token_hex(12)}", int(time.time())
    if asked.stream:
        return await _stream(request, identity, created, asked, choices)
    return web.json_response(reply(identity, created, asked, choices))


async def _stream(
    request: web.Request, identity: str, created: int, asked: ChatRequest, choices: tuple[Choice, ...]
) -> web.StreamResponse:
    """Send finished choices as events; replies are a few tokens, so nothing is gained by sending them earlier."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
    await response.prepare(request)
    for chunk in chunks(identity, created, asked, choices):
        await response.write(f"data: {json.dumps(chunk)}\n\n".encode())
    await response.write(b"data: [DONE]\n\n")
    await response.write_eof()
    return response


async def _json(request: web.Request) -> object:
    try:
        return json.loads(await request.read())
    except (ValueError, RecursionError) as error:
        raise RequestError(f"The body is not valid JSON: {error}") from error


async def _list_models(request: web.Request) -> web.Response:
    return web.json_response({"object": "list", "data": [_card(name) for name in request.app[MODELS]]})


async def _show_model(request: web.Request) -> web.Response:
    name = request.match_info["model"]
    if name not in request.app[MODELS]:
        raise RequestError(f"The model {name!r} does not exist.", "model", "model_not_found", 404)
    return web.json_response(_card(name))


async def _health(request: web.Request) -> web.Response:
    return web.json_response({"status": "ready", "unfinished": request.app[ENGINE].unfinished})


async def _stats(request: web.Request) -> web.Response:
    return web.json_response({"models": request.app[STATS]})


def _card(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "agenttts"}


def _usage(requests: int, completions: int, prompt_tokens: int, completion_tokens: int) -> dict[str, int]:
    return {
        "requests": requests,
        "completions": completions,
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
    }


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every refusal in OpenAI's shape."""
    try:
        return await handler(request)
    except RequestError as error:
        return _refusal(error, {"Retry-After": "1"} if error.status == 429 else {})
    except web.HTTPException as error:
        if error.status < 400:
            raise
        allow = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
        return _refusal(RequestError(f"{request.method} {request.path}: {error.reason}", status=error.status), allow)
    except asyncio.CancelledError:
        raise
    except Exception as error:
        return _refusal(RequestError(f"Internal error: {error!r}", status=500), {})


def _refusal(error: RequestError, headers: Mapping[str, str]) -> web.Response:
    return web.json_response(error.body(), status=error.status, headers=headers)
