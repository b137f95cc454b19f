"""The pod that runs a program, and the adapter that sends it, to a loopback fake of the API."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client

from agenttts.runtime.sandbox import pod as pods
from agenttts.runtime.sandbox.cluster import Cluster, settings_from
from agenttts.runtime.sandbox.model import Ending, Limits, ProgramError, SandboxError
from agenttts.runtime.sandbox.outside import loader
from agenttts.runtime.sandbox.pod import PodSettings, network_policy, pod
from tests.compiler.golden import assert_golden

from .fake_cluster import FakeCluster, fake_cluster

SETTINGS = PodSettings(namespace="runs", image="python:3.12-slim")
FILES = {"main.py": "print(1)\n"}
DONE = {"phase": "Succeeded", "containerStatuses": [{"state": {"terminated": {"exitCode": 0}}}]}
TOLD = json.dumps({"ended": "exit", "status": 0, "stdout": "1\n", "stderr": ""})


def terminated(reason: str, code: int) -> dict[str, Any]:
    state = {"terminated": {"reason": reason, "exitCode": code}}
    return {"phase": "Failed", "containerStatuses": [{"state": state}]}


def cluster(fake: FakeCluster) -> Cluster:
    made = client.Configuration()
    made.host = fake.url
    made.retries = 0
    names = iter(f"agenttts-sandbox-{n}" for n in range(9))
    return Cluster(client.ApiClient(made), SETTINGS, sleep=lambda _: None, name=lambda: next(names))


def test_the_pod_is_the_restricted_one_that_was_reviewed():
    made = pod("agenttts-sandbox-0", FILES, Limits(), SETTINGS)
    container = made["spec"]["containers"][0]
    assert container["command"][4] == loader()
    container["command"][4] = "<inside.py>"
    container["env"][0]["value"] = "<job>"
    assert_golden("pod.json", made)


def test_the_command_of_the_pod_runs_the_program(tmp_path, monkeypatch):
    monkeypatch.setattr(pods, "FOLDER", str(tmp_path))
    files = {"main.py": "import helper, sys\nprint(helper.WORD)\nsys.exit(4)\n", "helper.py": "WORD = 'hi'\n"}
    limits = Limits(processes=4096)
    made = pod("x", files, limits, replace(SETTINGS, python=sys.executable))["spec"]["containers"][0]
    environment = {entry["name"]: entry["value"] for entry in made["env"]}
    log = subprocess.run(made["command"], env=environment, capture_output=True, text=True, timeout=60).stdout
    assert pods.pod_ending(DONE, log) == Ending("exit", 4, "hi\n", "")


def test_the_policy_in_the_repository_is_the_one_that_is_looked_for():
    written = yaml.safe_load(
        (Path(__file__).parents[3] / "k8s/sandbox/network-policy.yaml").read_text("utf-8")
    )
    expected = network_policy("runs")
    del expected["metadata"]["namespace"]
    assert written == expected


def test_a_pod_is_created_watched_read_and_deleted():
    with fake_cluster(
        policies=[network_policy("runs")], statuses=[{"phase": "Pending"}, DONE], log=TOLD
    ) as fake:
        made = cluster(fake)
        made.ready()
        assert made.run(FILES, Limits()) == Ending("exit", 0, "1\n", "")
    assert fake.created == [pod("agenttts-sandbox-0", FILES, Limits(), SETTINGS)]
    assert fake.calls == [
        "GET /apis/networking.k8s.io/v1/namespaces/runs/networkpolicies",
        "POST /api/v1/namespaces/runs/pods",
        "GET /api/v1/namespaces/runs/pods/agenttts-sandbox-0/status",
        "GET /api/v1/namespaces/runs/pods/agenttts-sandbox-0/status",
        "GET /api/v1/namespaces/runs/pods/agenttts-sandbox-0/log",
        "DELETE /api/v1/namespaces/runs/pods/agenttts-sandbox-0",
    ]


def policy(name: str, selector: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"podSelector": selector, "policyTypes": ["Egress"], **more}}


def but(operator: str, *values: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": COMPONENT, "operator": operator, "values": list(values)}]}


CUT_OFF = network_policy("runs")
COMPONENT = "app.kubernetes.io/component"


@pytest.mark.parametrize(
    "policies", [[], [policy("half", {})], [policy("other", {"matchLabels": {"a": "b"}})]]
)
def test_a_namespace_that_does_not_cut_pods_off_is_refused(policies):
    with fake_cluster(policies=policies) as fake, pytest.raises(SandboxError, match=r"network-policy\.yaml"):
        cluster(fake).ready()


@pytest.mark.parametrize(
    "opening",
    [
        policy("all", {}, egress=[{}]),
        policy("all", {}, ingress=[{"from": []}], policyTypes=["Ingress"]),
        policy("all", {"matchLabels": {"app.kubernetes.io/name": "agenttts"}}, egress=[{}]),
        policy("all", but("In", "sandbox", "web"), egress=[{}]),
        policy("all", but("NotIn", "web"), egress=[{}]),
        policy("all", but("Exists"), egress=[{}]),
    ],
)
def test_a_policy_that_opens_sandbox_pods_is_refused_though_another_cuts_them_off(opening):
    told = r"policy 'all' allows them something.*NotIn"
    with fake_cluster(policies=[CUT_OFF, opening]) as fake, pytest.raises(SandboxError, match=told):
        cluster(fake).ready()


@pytest.mark.parametrize(
    "other",
    [
        policy("web", {"matchLabels": {COMPONENT: "web"}}, egress=[{}]),
        policy("most", but("NotIn", "sandbox"), egress=[{}]),
        policy("bare", but("DoesNotExist"), egress=[{}]),
    ],
)
def test_policies_that_open_other_pods_only_are_none_of_our_business(other):
    with fake_cluster(policies=[other, CUT_OFF]) as fake:
        cluster(fake).ready()


@pytest.mark.parametrize(
    ("status", "ended"),
    [
        ({"phase": "Failed", "reason": "DeadlineExceeded"}, "killed"),
        (terminated("OOMKilled", 137), "memory"),
        (terminated("Error", 1), "killed"),
    ],
)
def test_what_ended_a_pod_is_told(status, ended):
    with fake_cluster(statuses=[status], log="garbage") as fake:
        assert cluster(fake).run(FILES, Limits()) == Ending(ended)


def test_a_pod_that_cannot_start_is_deleted_and_its_reason_told():
    waiting = {"state": {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}}
    with fake_cluster(statuses=[{"phase": "Pending", "containerStatuses": [waiting]}]) as fake:
        with pytest.raises(SandboxError, match="ErrImagePull: no such image"):
            cluster(fake).run(FILES, Limits())
        assert fake.calls[-1].startswith("DELETE")


def test_a_refusal_of_the_api_server_is_told():
    with fake_cluster(refuse=403) as fake, pytest.raises(SandboxError, match="403 pods is forbidden"):
        cluster(fake).run(FILES, Limits())


def test_no_api_server_is_told():
    with fake_cluster() as fake:
        pass
    with pytest.raises(SandboxError, match="no API server answers"):
        cluster(fake).ready()


def test_a_program_too_long_for_a_pod_is_refused():
    text = "".join(chr(33 + (n * n * 7919) % 89 + (n % 5)) for n in range(400_000))
    with pytest.raises(ProgramError, match="too long for a pod"):
        pod("x", {"main.py": text + "#" + repr(list(range(60_000)))}, Limits(), SETTINGS)


def test_settings_are_those_of_the_environment():
    given = {"AGENTTTS_SANDBOX_NAMESPACE": "runs", "AGENTTTS_SANDBOX_RUNTIME_CLASS": "gvisor"}
    assert settings_from(given) == PodSettings(namespace="runs", runtime_class="gvisor")
