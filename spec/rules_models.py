"""Rules about models: what each kind of worker needs, and secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from agenttts.spec.draft import Draft, Finding, as_object, as_text
from agenttts.spec.model import Json
from agenttts.spec.places import child, pointer_of
from agenttts.spec.words import is_secret, show, unknown

Findings = Iterator[Finding]
_ONLY_FOR = {
    "base_url": "api",
    "api_key_env": "api",
    "engine": "gpu",
    "gpus": "gpu",
    "replicas": "gpu",
}


def keys_fit_the_worker(draft: Draft) -> Findings:
    """A key that another kind of worker reads has no effect here."""
    for name, model in draft.models.items():
        worker = model.get("worker")
        for key, owner in _ONLY_FOR.items():
            if key in model and worker in ("api", "gpu", "embedded") and worker != owner:
                what = f"{show(key)} has no meaning for worker {show(worker)}."
                fix = f"Remove it, or use worker {show(owner)}."
                yield Finding(pointer_of("models", name, key), what, fix)


def api_has_an_address(draft: Draft) -> Findings:
    """An API worker needs the address of its endpoint."""
    for name, model in draft.models.items():
        if model.get("worker") == "api" and "base_url" not in model:
            fix = 'Add "base_url", for example "http://localhost:8000/v1".'
            yield Finding(pointer_of("models", name), 'worker "api" needs the key "base_url".', fix)


def address_is_plain(draft: Draft) -> Findings:
    """The address is http or https and carries no credentials; it may be printed."""
    for name, model in draft.models.items():
        pointer = pointer_of("models", name, "base_url")
        if not isinstance(model.get("base_url"), str):
            continue
        yield from plain_address(pointer, as_text(model["base_url"]))


def plain_address(pointer: str, address: str) -> Findings:
    """Find what is wrong with an address that may be printed."""
    match _address_fault(address):
        case "credentials":
            what = "the address carries a user, a password or a query (not shown)."
            yield Finding(pointer, what, "Remove it; name the key's environment variable in api_key_env.")
        case "form":
            what = f"{show(address)} is not an http or https address."
            yield Finding(pointer, what, "Write for example http://localhost:8000/v1.")


def embedded_size_exists(draft: Draft) -> Findings:
    """An embedded model has one of the sizes that come with agenttts."""
    for name, model in draft.models.items():
        size = as_text(model.get("model"))
        if model.get("worker") == "embedded" and size and size not in draft.catalog:
            what, fix = unknown("embedded model", size, draft.catalog, "Use one of the known sizes.")
            yield Finding(pointer_of("models", name, "model"), what, fix)


def samples_tell_models_apart(draft: Draft) -> Findings:
    """Samples are banked by model, revision and quantization, not by address: addresses may change."""
    seen: dict[tuple[str, ...], tuple[str, str]] = {}
    for name, model in draft.models.items():
        if model.get("worker") != "api" or not as_text(model.get("base_url")):
            continue
        identity = tuple(as_text(model.get(key)) for key in ("model", "revision", "quantization"))
        address = as_text(model["base_url"]).rstrip("/")
        first, other = seen.setdefault(identity, (name, address))
        if other != address:
            what = f"{show(name)} and {show(first)} are one model at two addresses: they would share samples."
            fix = 'Give one of them another "revision" if they differ, else remove one.'
            yield Finding(pointer_of("models", name, "model"), what, fix)


def nothing_is_secret(draft: Draft) -> Findings:
    """No text of the spec holds a key: specs live in git."""
    for pointer, value in _texts(draft.document, ""):
        if is_secret(value) and not pointer.endswith("/api_key_env"):
            fix = "Remove it, make it invalid at its issuer, and name an environment variable in api_key_env."
            yield Finding(pointer, "the text holds something that looks like a secret (not shown).", fix)


def key_name_is_no_secret(draft: Draft) -> Findings:
    """A key that happens to be written in capitals is still a key."""
    for name, body in draft.models.items():
        value = as_text(as_object(body).get("api_key_env"))
        yield from secret_name(pointer_of("models", name, "api_key_env"), value)


def secret_name(pointer: str, value: str) -> Findings:
    """Find a key where the name of a variable belongs; other forms are the schema's to report."""
    if is_secret(value) and re.fullmatch(r"[A-Z_][A-Z0-9_]*", value):
        fix = "Put the key into an environment variable and write the variable's name."
        yield Finding(pointer, "the value looks like a secret (not shown).", fix)


def _address_fault(address: str) -> str | None:
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "credentials" if "@" in address else "form"
    if "@" in parts.netloc or parts.query or parts.fragment:
        return "credentials"
    if parts.scheme not in ("http", "https") or not host or not address.isprintable() or " " in address:
        return "form"
    return None


def _texts(value: Json, pointer: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield pointer, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(inner, child(pointer, key))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _texts(inner, child(pointer, i))
