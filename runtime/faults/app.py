"""The fault server's HTTP application: the thin edge around `Provider` and `State`."""

from __future__ import annotations

import hmac
import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime

from aiohttp import web

from agenttts.runtime.faults.asked import Asked, RefusedError, quota_of
from agenttts.runtime.faults.delivery import cut_off, send, send_fated
from agenttts.runtime.faults.documents import fault_body, retry_headers
from agenttts.runtime.faults.fate import Fate, RetryAfter
from agenttts.runtime.faults.mood import Kind
from agenttts.runtime.faults.page import page
from agenttts.runtime.faults.provider import error_of
from agenttts.runtime.faults.state import State
from agenttts.runtime.secret import Secret

BODY_BYTES = 1 << 26
STATE = web.AppKey("state", State)
KEY: web.AppKey[Secret | None] = web.AppKey("key")
LOG = logging.getLogger("agenttts.faults")


def create_app(state: State, key: Secret | None = None) -> web.Application:
    """Build the application around a server's memory.

    key: what `Authorization: Bearer` must carry; None: nothing is checked.
    Serve it with `handler_cancellation`, or work for clients that are gone is not dropped.
    """
    app = web.Application(client_max_size=BODY_BYTES)
    app[STATE], app[KEY] = state, key
    app.add_routes(
        [
            web.post("/v1/chat/completions", _complete),
            web.get("/v1/models", _models),
            web.get("/stats", _stats),
            web.put("/quota", _quota),
            web.get("/healthz", _health),
        ]
    )
    return app


async def _complete(request: web.Request) -> web.StreamResponse:
    state = request.app[STATE]
    try:
        _check_key(request)
        asked = state.provider.read(_decoded(await request.read()))
    except RefusedError as refused:
        state.nameless.outcomes[refused.kind] += 1
        return await _refuse(request, refused)
    key = request.headers.get("Idempotency-Key") if state.provider.mood.idempotency else None
    try:
        fate = state.admit(asked, key)
    except RefusedError as refused:
        return await _refuse(request, refused)
    LOG.info(
        "%s %s: %s, n %d, seed %s", asked.model, asked.fingerprint[:8], fate.kind, asked.count, asked.seed
    )
    try:
        return await _fulfil(request, asked, fate, key)
    finally:
        state.leave(asked)


async def _fulfil(request: web.Request, asked: Asked, fate: Fate, key: str | None) -> web.StreamResponse:
    if fate.kind is Kind.NO_CONNECTION:
        return cut_off(request)
    if not fate.generates:
        headers = retry_headers(fate.retry_after, datetime.now(UTC)) if fate.retry_after else None
        return await send(request, fate.status, fault_body(fate.kind, fate.status), headers)
    state = request.app[STATE]
    made = await state.make(asked, fate, key)
    whole = False
    try:
        body = state.provider.body(asked, made.fate, made.completion)
        pause_s = state.provider.mood.faults.pause_s
        response = await send_fated(request, body, fate, pause_s, state.sleep)
        whole = fate.delivers
        return response
    finally:
        state.arrived(made, whole)


async def _models(request: web.Request) -> web.StreamResponse:
    try:
        _check_key(request)
    except RefusedError as refused:
        return await _refuse(request, refused)
    names = request.app[STATE].provider.mood.models
    cards = [{"id": name, "object": "model", "created": 0, "owned_by": "agenttts"} for name in names]
    return web.json_response({"object": "list", "data": cards})


async def _stats(request: web.Request) -> web.Response:
    document = request.app[STATE].document()
    if "text/html" in request.headers.get("Accept", ""):
        return web.Response(text=page(document), content_type="text/html")
    return web.json_response(document)


async def _quota(request: web.Request) -> web.StreamResponse:
    try:
        request.app[STATE].quota = quota_of(_decoded(await request.read()))
    except RefusedError as refused:
        return await _refuse(request, refused)
    return web.json_response({"completions": request.app[STATE].quota})


async def _health(_request: web.Request) -> web.Response:
    return web.json_response({"status": "ready"})


def _check_key(request: web.Request) -> None:
    """Refuse a wrong key, and repeat it in the message, as some providers do: clients must hide it."""
    key = request.app[KEY]
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if key is not None and not hmac.compare_digest(given.encode("utf-8", "replace"), key.reveal().encode()):
        message = f"Incorrect API key provided: {given}. Check the key and try again."
        raise RefusedError("unauthorized", 401, message, "invalid_api_key")


def _decoded(body: bytes) -> object:
    try:
        decoded: object = json.loads(body)
    except (ValueError, RecursionError):
        raise RefusedError("bad_request", 400, "The body is not valid JSON.") from None
    return decoded


async def _refuse(request: web.Request, refused: RefusedError) -> web.StreamResponse:
    headers: Mapping[str, str] | None = None
    if refused.retry_after_s is not None:
        headers = retry_headers(RetryAfter(refused.retry_after_s, as_date=False), datetime.now(UTC))
    LOG.info("refused: %s", refused.kind)
    return await send(request, refused.status, error_of(refused), headers)
