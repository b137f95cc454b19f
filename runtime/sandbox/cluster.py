"""Runs programs in pods: the only module that talks to Kubernetes for it.

The namespace, image and runtime class come from the environment of whoever runs the search, not from a spec.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from agenttts.runtime.sandbox.model import Ending, Files, Limits, SandboxError
from agenttts.runtime.sandbox.pod import (
    GRACE_S,
    PodSettings,
    has_ended,
    opened_by,
    pod,
    pod_ending,
    stuck_because,
)

POLL_S = 0.5
RAW: dict[str, Any] = {"_request_timeout": 30.0, "_preload_content": False}
"""Replies are read by us: the client refuses those whose kind it does not expect, as of a deletion."""
PREFIX = "AGENTTTS_SANDBOX_"


@dataclass(frozen=True, slots=True)
class Cluster:
    """A sandbox of pods. api: an authenticated client. sleep: between two looks at a pod."""

    api: Any
    settings: PodSettings
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    name: Callable[[], str] = field(default=lambda: f"agenttts-sandbox-{uuid.uuid4().hex[:12]}")

    def ready(self) -> None:
        """Look whether the namespace's policies cut the pods off. See `Sandbox`."""
        where = self.settings.namespace
        with _spoken():
            found = client.NetworkingV1Api(self.api).list_namespaced_network_policy(where, **RAW)
        if problem := opened_by(json.loads(found.data)["items"]):
            raise SandboxError(f"kubernetes: pods in namespace '{where}' are not cut off: {problem}")

    def run(self, files: Files, limits: Limits) -> Ending:
        """Run a program in a pod of its own, and delete it. See `Sandbox`."""
        core: Any = client.CoreV1Api(self.api)
        where = self.settings.namespace
        manifest = pod(self.name(), files, limits, self.settings)
        name = manifest["metadata"]["name"]
        with _spoken():
            core.create_namespaced_pod(where, manifest, **RAW)
            try:
                status = self._final(core, name, limits)
                log = core.read_namespaced_pod_log(name, where, **RAW).data
            finally:
                with contextlib.suppress(ApiException, HTTPError):
                    core.delete_namespaced_pod(name, where, grace_period_seconds=0, **RAW)
        return pod_ending(status, log.decode("utf-8", "replace"))

    def _final(self, core: Any, name: str, limits: Limits) -> Mapping[str, Any]:
        until = self.clock() + limits.time_s + 2 * GRACE_S
        while self.clock() < until:
            found = core.read_namespaced_pod_status(name, self.settings.namespace, **RAW)
            status: Mapping[str, Any] = json.loads(found.data).get("status") or {}
            if has_ended(status):
                return status
            if reason := stuck_because(status):
                raise SandboxError(f"kubernetes: pod {name} cannot start. {reason}")
            self.sleep(POLL_S)
        raise SandboxError(f"kubernetes: pod {name} did not end in time. See whether its node is well.")


@contextlib.contextmanager
def _spoken() -> Iterator[None]:
    """Turn what the client raises into a `SandboxError`."""
    try:
        yield
    except ApiException as error:
        raise SandboxError(f"kubernetes: the API server refuses: {error.status} {_reason(error)}") from error
    except HTTPError as error:
        raise SandboxError(f"kubernetes: no API server answers ({type(error).__name__})") from error


def _reason(error: ApiException) -> str:
    try:
        return str(json.loads(error.body or "")["message"])
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
    return Cluster(client.ApiClient(), settings_from(os.environ))


def settings_from(environment: Mapping[str, str]) -> PodSettings:
    """Read AGENTTTS_SANDBOX_NAMESPACE, _IMAGE, _PYTHON and _RUNTIME_CLASS."""
    given = {
        name: environment[PREFIX + name.upper()]
        for name in ("namespace", "image", "python", "runtime_class")
        if environment.get(PREFIX + name.upper())
    }
    return PodSettings(**given)
