"""Runs programs in pods: the only module that talks to Kubernetes for it.

A cluster has hiccups, and a search goes on for days. So what passes is waited for (`PAUSES_S`, `patience_s`),
a pod that is lost counts as killed, and only what no waiting mends is a `SandboxError`.

The namespace, image and runtime class come from the environment of whoever runs the search, not from a spec.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from agenttts.runtime.sandbox.model import Ending, Files, Limits, SandboxError
from agenttts.runtime.sandbox.pod import (
    PodSettings,
    UnstartedError,
    ending_by_log,
    ending_by_status,
    has_ended,
    opened_by,
    patience_s,
    pod,
    standing,
    stuck_because,
)

POLL_S = 0.5
PAUSES_S = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 30.0, 30.0, 30.0)
"""Between tries of one request that meets a passing trouble: more than two and a half minutes in all."""
FEW_PAUSES_S = PAUSES_S[:4]
"""Where nobody gains from waiting long: before the search, and for a pod that is done with."""
POD_PAUSES_S = (10.0, 60.0)
"""Between the pods of one program, if they end before it begins."""
RAW: dict[str, Any] = {"_request_timeout": 30.0, "_preload_content": False}
"""Replies are read by us: the client refuses those whose kind it does not expect, as of a deletion."""
PREFIX = "AGENTTTS_SANDBOX_"


@dataclass(frozen=True, slots=True)
class Cluster:
    """A sandbox of pods. api: an authenticated client. sleep: between two looks at a pod, or two tries."""

    api: Any
    settings: PodSettings
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    name: Callable[[], str] = field(default=lambda: f"agenttts-sandbox-{uuid.uuid4().hex[:12]}")

    def ready(self) -> None:
        """Look whether the namespace's policies cut the pods off. See `Sandbox`."""
        where = self.settings.namespace
        networking: Any = client.NetworkingV1Api(self.api)
        with _spoken():
            found = self._ask(networking.list_namespaced_network_policy, where, pauses=FEW_PAUSES_S)
        if problem := opened_by(json.loads(found)["items"]):
            raise SandboxError(f"kubernetes: pods in namespace '{where}' are not cut off: {problem}")

    def run(self, files: Files, limits: Limits) -> Ending:
        """Run a program in a pod of its own, and delete it. See `Sandbox`."""
        for pause_s in POD_PAUSES_S:
            with contextlib.suppress(UnstartedError):
                return self._once(files, limits)
            self.sleep(pause_s)
        return self._once(files, limits)

    def _once(self, files: Files, limits: Limits) -> Ending:
        core: Any = client.CoreV1Api(self.api)
        manifest = pod(self.name(), files, limits, self.settings)
        name = manifest["metadata"]["name"]
        with _spoken():
            try:
                self._create(core, manifest)
                status = self._final(core, name, limits)
                return ending_by_status(status) or ending_by_log(self._log(core, name))
            except _LostError:
                return Ending("killed")
            finally:
                self._delete(core, name)

    def _create(self, core: Any, manifest: Mapping[str, Any]) -> None:
        try:
            self._ask(core.create_namespaced_pod, self.settings.namespace, manifest)
        except ApiException as error:
            if not _exists(error):  # it does if an earlier try came through and its answer did not
                raise

    def _final(self, core: Any, name: str, limits: Limits) -> Mapping[str, Any]:
        since: dict[str, float] = {}
        while True:
            status = self._status(core, name)
            if has_ended(status):
                return status
            if reason := stuck_because(status):
                raise SandboxError(f"kubernetes: pod {name} cannot start. {reason}")
            stands, why = standing(status)
            now, most_s = self.clock(), patience_s(stands, limits)
            if now - since.setdefault(stands, now) > most_s:
                if stands == "placed":
                    raise _LostError
                raise SandboxError(f"kubernetes: pod {name} did not start within {most_s:g} s. {why}")
            self.sleep(POLL_S)

    def _status(self, core: Any, name: str) -> Mapping[str, Any]:
        try:
            found = self._ask(core.read_namespaced_pod_status, name, self.settings.namespace)
        except ApiException as error:
            if error.status == 404:
                raise _LostError from error
            raise
        status: Mapping[str, Any] = json.loads(found).get("status") or {}
        return status

    def _log(self, core: Any, name: str) -> str:
        """Return a pod's log. It goes with the pod, or with its node."""
        where = self.settings.namespace
        try:
            log = self._ask(core.read_namespaced_pod_log, name, where, pauses=FEW_PAUSES_S)
        except (ApiException, HTTPError) as error:
            if isinstance(error, ApiException) and error.status in (401, 403):
                raise
            raise _LostError from error
        return log.decode("utf-8", "replace")

    def _delete(self, core: Any, name: str) -> None:
        where = self.settings.namespace
        with contextlib.suppress(ApiException, HTTPError):
            self._ask(core.delete_namespaced_pod, name, where, pauses=FEW_PAUSES_S, grace_period_seconds=0)

    def _ask(
        self, call: Callable[..., Any], *given: Any, pauses: Sequence[float] = PAUSES_S, **more: Any
    ) -> bytes:
        """Make a request, again after a pause while what is wrong may pass. Return the reply's content."""
        for pause_s in pauses:
            try:
                return bytes(call(*given, **more, **RAW).data)
            except (ApiException, HTTPError) as error:
                if not passes(error):
                    raise
            self.sleep(pause_s)
        return bytes(call(*given, **more, **RAW).data)


class _LostError(Exception):
    """A pod that is gone, or whose node does not answer; nobody knows how its program ended."""


def passes(error: ApiException | HTTPError) -> bool:
    """Tell whether the same request may succeed later: the server is away, busy or full."""
    if isinstance(error, HTTPError):
        return True
    conflict = error.status == 409 and not _exists(error)
    full = error.status == 403 and "exceeded quota" in _said(error, "message")
    return conflict or full or not error.status or error.status == 429 or error.status >= 500


def _exists(error: ApiException) -> bool:
    return error.status == 409 and _said(error, "reason") == "AlreadyExists"


@contextlib.contextmanager
def _spoken() -> Iterator[None]:
    """Turn what the client raises into a `SandboxError`."""
    try:
        yield
    except ApiException as error:
        raise SandboxError(
            f"kubernetes: the API server refuses: {error.status} {_said(error, 'message')}"
        ) from error
    except HTTPError as error:
        raise SandboxError(f"kubernetes: no API server answers ({type(error).__name__})") from error


def _said(error: ApiException, what: str) -> str:
    try:
        return str(json.loads(error.body or "")[what])
    except (ValueError, KeyError, TypeError):
        return str(error.reason)


def cluster_sandbox() -> Cluster:
    """Connect as the pod that this runs in, or by the user's kubeconfig.

    Raises:
        SandboxError: if there is neither.
    """
    load: Any = config.load_config
    try:
        load()
    except config.ConfigException as error:
        raise SandboxError(f"kubernetes: no cluster is configured here ({error})") from error
    made: Any = client.Configuration.get_default_copy()
    made.retries = False  # we try again ourselves
    return Cluster(client.ApiClient(made), settings_from(os.environ))


def settings_from(environment: Mapping[str, str]) -> PodSettings:
    """Read AGENTTTS_SANDBOX_NAMESPACE, _IMAGE, _PYTHON and _RUNTIME_CLASS."""
    given = {
        name: environment[PREFIX + name.upper()]
        for name in ("namespace", "image", "python", "runtime_class")
        if environment.get(PREFIX + name.upper())
    }
    return PodSettings(**given)
