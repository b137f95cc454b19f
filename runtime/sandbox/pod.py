"""A pod as a sandbox, as plain data: what is sent to Kubernetes, and how its answer is read.

The pod has no rights, no token, no writable file but one folder in memory, and ends by itself. That it has no
network is said by a NetworkPolicy, which selects it by its label; the network plug-in must enforce policies.
"""

from __future__ import annotations

import base64
import json
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from agenttts.runtime.sandbox.model import Ending, Files, Limits, ProgramError, SandboxError
from agenttts.runtime.sandbox.outside import Place, ending, first, job

FOLDER = "/box"
LABELS = {"app.kubernetes.io/name": "agenttts", "app.kubernetes.io/component": "sandbox"}
POLICY = "agenttts-sandbox"
EXCEPT = (
    "Except them in its podSelector: matchExpressions "
    "[{key: app.kubernetes.io/component, operator: NotIn, values: [sandbox]}]."
)
GRACE_S = 600
"""For the node to fetch the image and start, before the pod's own deadline."""
UNPLACED_S = 900.0
"""So long a pod may wait for a node: a cluster that grows needs minutes."""
HELD_UP_S = 180.0
"""So long a reason may last that mostly passes, such as an image that cannot be fetched."""
OVERDUE_S = 60.0
"""So long after its deadline a pod's end may be reported; then its node is taken for lost."""
Standing = Literal["unplaced", "held up", "placed"]
LOST = ("Evicted", "Preempting", "NodeLost", "NodeShutdown", "Shutdown", "Terminated")
"""Reasons of pods that ended with their node or for another's sake, whatever they had done until then."""
UNSTARTED = ("StartError", "ContainerCannotRun")
MOST_JOB = 100_000
"""Bytes of a job: it travels in a variable of the container, of which Linux takes 128 KiB."""
STDOUT = 1


@dataclass(frozen=True, slots=True)
class PodSettings:
    """What an organisation decides. image: has Python 3.11+ at `python`. runtime_class: e.g. gvisor."""

    namespace: str = "default"
    image: str = "python:3.12-slim"
    python: str = "/usr/local/bin/python3"
    runtime_class: str | None = None


def pod(name: str, files: Files, limits: Limits, settings: PodSettings) -> dict[str, Any]:
    """Return the pod that runs a program.

    Raises:
        ProgramError: if the files are no program, or too long to travel in the manifest.
    """
    runtime = {"runtimeClassName": settings.runtime_class} if settings.runtime_class else {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": settings.namespace, "labels": LABELS},
        "spec": {
            "restartPolicy": "Never",
            "activeDeadlineSeconds": math.ceil(limits.time_s) + GRACE_S,
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "hostUsers": False,
            "dnsPolicy": "None",
            "dnsConfig": {"nameservers": ["127.0.0.1"]},
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65534,
                "runAsGroup": 65534,
                "fsGroup": 65534,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [_container(files, limits, settings)],
            "volumes": [
                {"name": "box", "emptyDir": {"medium": "Memory", "sizeLimit": f"{limits.disk_mib}Mi"}}
            ],
            **runtime,
        },
    }


def _container(files: Files, limits: Limits, settings: PodSettings) -> dict[str, Any]:
    place = Place(settings.python, FOLDER)
    memory = f"{limits.memory_mib + limits.disk_mib}Mi"
    most = {"cpu": "1", "memory": memory, "ephemeral-storage": "16Mi"}
    return {
        "name": "program",
        "image": settings.image,
        "command": list(first(place, STDOUT)),
        "env": [{"name": "AGENTTTS_JOB", "value": _packed(job(place, files, limits))}],
        "workingDir": FOLDER,
        "resources": {"limits": most, "requests": most},
        "securityContext": {
            "privileged": False,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "box", "mountPath": FOLDER}],
    }


def _packed(told: Mapping[str, Any]) -> str:
    packed = base64.b64encode(zlib.compress(json.dumps(told).encode(), 9)).decode()
    if len(packed) > MOST_JOB:
        raise ProgramError(f"the program is too long for a pod: {len(packed)} bytes packed, most {MOST_JOB}")
    return packed


def network_policy(namespace: str) -> dict[str, Any]:
    """Return the policy that cuts every sandbox pod of a namespace off: nothing in, nothing out."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": POLICY, "namespace": namespace, "labels": LABELS},
        "spec": {"podSelector": {"matchLabels": LABELS}, "policyTypes": ["Ingress", "Egress"]},
    }


def opened_by(policies: Sequence[Mapping[str, Any]]) -> str | None:
    """Return why sandbox pods are not cut off by all policies of their namespace, None if they are.

    Policies add up: what one allows, no other takes away.
    """
    chosen = [policy for policy in policies if _selects(policy.get("spec") or {})]
    for policy in chosen:
        if policy["spec"].get("ingress") or policy["spec"].get("egress"):
            name = (policy.get("metadata") or {}).get("name")
            return f"policy {name!r} allows them something, and policies add up. {EXCEPT}"
    closed = {way for policy in chosen for way in policy["spec"].get("policyTypes") or ()}
    missing = sorted({"Ingress", "Egress"} - closed)
    if missing:
        return (
            f"no policy cuts them off ({' and '.join(missing)}). Apply k8s/sandbox/network-policy.yaml there."
        )
    return None


def _selects(spec: Mapping[str, Any]) -> bool:
    selector = spec.get("podSelector") or {}
    named = (selector.get("matchLabels") or {}).items() <= LABELS.items()
    return named and all(_fits(rule) for rule in selector.get("matchExpressions") or ())


def _fits(rule: Mapping[str, Any]) -> bool:
    """Tell whether sandbox pods fit an expression of a label selector."""
    value, values = LABELS.get(rule["key"]), rule.get("values") or ()
    match rule["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
    raise SandboxError(f"kubernetes: unknown operator {rule['operator']!r} in a policy's podSelector")


def has_ended(status: Mapping[str, Any]) -> bool:
    """Tell whether a pod's status is final."""
    return status.get("phase") in ("Succeeded", "Failed")


def stuck_because(status: Mapping[str, Any]) -> str | None:
    """Return why a pod's container cannot start, if that will not pass by waiting."""
    for waiting in _waiting(status):
        if waiting["reason"] in ("InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError"):
            return f"{waiting['reason']}: {waiting.get('message', '')}"
    return None


def standing(status: Mapping[str, Any]) -> tuple[Standing, str]:
    """Return where a pod that has not ended stands, and what the cluster says of it."""
    for waiting in _waiting(status):
        if waiting["reason"] not in ("ContainerCreating", "PodInitializing"):
            return "held up", f"{waiting['reason']}: {waiting.get('message', '')}"
    if status.get("phase") == "Pending" and not status.get("startTime"):
        messages = [condition.get("message") or "" for condition in status.get("conditions") or ()]
        return "unplaced", next(filter(None, messages), "no node has taken it")
    return "placed", "it has not ended"


def patience_s(stands: Standing, limits: Limits) -> float:
    """Return how long a pod may stand there."""
    return {
        "unplaced": UNPLACED_S,
        "held up": HELD_UP_S,
        "placed": limits.time_s + GRACE_S + OVERDUE_S,
    }[stands]


def _waiting(status: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for container in status.get("containerStatuses") or ():
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason"):
            yield waiting


class UnstartedError(SandboxError):
    """A pod ended before its program began. Another one may do better."""


def ending_by_status(status: Mapping[str, Any]) -> Ending | None:
    """Return how a program ended if its pod's final status says so; None if only the log can.

    A pod's own deadline says nothing of the program, whose time is kept inside: the pod was slow, or stuck.

    Raises:
        UnstartedError: if the program never began.
    """
    states = [container.get("state") or {} for container in status.get("containerStatuses") or ()]
    terminated = [state["terminated"] for state in states if state.get("terminated")]
    if status.get("reason") == "DeadlineExceeded":
        return Ending("killed")
    if any(state.get("reason") == "OOMKilled" for state in terminated):
        return Ending("memory")
    if not terminated and status.get("reason") in LOST:
        return Ending("killed")
    problem = next((state for state in terminated if state.get("reason") in UNSTARTED), None)
    if terminated and problem is None:
        return None
    told = problem or status
    why = f"{told.get('reason') or 'no reason'} {told.get('message') or ''}"
    raise UnstartedError(f"kubernetes: the pod's program could not be started: {why}")


def ending_by_log(log: str) -> Ending:
    """Return how a program ended, as its pod's log tells."""
    try:
        return ending(log.encode())
    except ValueError:
        return Ending("killed")
