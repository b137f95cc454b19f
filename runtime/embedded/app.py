"""The embedded models' HTTP application, OpenAI-compatible.

The engine computes in its own thread, so the event loop answers /health at any load.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from agenttts.runtime.embedded.batch import Choice
from agenttts.runtime.embedded.chat import ChatRequest, RequestError, chunks, parse, reply, usage
from agenttts.runtime.embedded.engine import Engine, QueueFullError
from agenttts.runtime.embedded.model import Model

BODY_BYTES = 1 << 20
ENGINE = web.AppKey("engine", Engine)
MODELS = web.AppKey("models", tuple[str, ...])
STATS = web.AppKey("stats", dict[str, Counter[str]])
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def create_app(
    models: Mapping[str, Model], queue_limit: int, body_bytes: int = BODY_BYTES
) -> web.Application:
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


async def _engine_runs(app: web.Application) -> Any:
    app[ENGINE].start()
    yield
    await asyncio.to_thread(app[ENGINE].stop)


async def _complete(request: web.Request) -> web.StreamResponse:
    models = request.app[MODELS]
    asked = parse(await _json(request), models, lambda: secrets.randbits(63))
    try:
        work = request.app[ENGINE].submit(asked.ask)
    except QueueFullError as full:
        raise RequestError(
            f"The server is busy: {full} Retry later.", code="queue_full", status=429
        ) from full
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
    """Send finished choices as events; replies are so short that sending them earlier would gain nothing."""
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
        return _refusal(
            RequestError(f"{request.method} {request.path}: {error.reason}", status=error.status), allow
        )
    except asyncio.CancelledError:
        raise
    except Exception as error:
        return _refusal(RequestError(f"Internal error: {error!r}", status=500), {})


def _refusal(error: RequestError, headers: Mapping[str, str]) -> web.Response:
    return web.json_response(error.body(), status=error.status, headers=headers)
