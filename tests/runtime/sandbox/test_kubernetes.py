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


class Clock:
    """Goes on only when somebody sleeps; each sleep is kept."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def sleep(self, pause_s: float) -> None:
        self.slept.append(pause_s)

    def now(self) -> float:
        return sum(self.slept)


def cluster(fake: FakeCluster, clock: Clock | None = None) -> Cluster:
    made = client.Configuration()
    made.host = fake.url
    made.retries = False
    names = iter(f"agenttts-sandbox-{n}" for n in range(9))
    clock = clock or Clock()
    return Cluster(
        client.ApiClient(made), SETTINGS, sleep=clock.sleep, clock=clock.now, name=lambda: next(names)
    )


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
    assert pods.ending_by_log(log) == Ending("exit", 4, "hi\n", "")


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
        ({"phase": "Failed", "reason": "Evicted", "message": "The node was low on memory."}, "killed"),
        (terminated("OOMKilled", 137), "memory"),
        (terminated("Error", 1), "killed"),
    ],
)
def test_what_ended_a_pod_is_told(status, ended):
    with fake_cluster(statuses=[status], log="garbage") as fake:
        assert cluster(fake).run(FILES, Limits()) == Ending(ended)


def waiting(reason: str) -> dict[str, Any]:
    state = {"waiting": {"reason": reason, "message": "no such image"}}
    return {"phase": "Pending", "startTime": "now", "containerStatuses": [{"state": state}]}


@pytest.mark.parametrize("reason", ["InvalidImageName", "CreateContainerConfigError"])
def test_a_pod_that_can_never_start_is_deleted_and_its_reason_told_at_once(reason):
    clock = Clock()
    with fake_cluster(statuses=[waiting(reason)]) as fake:
        with pytest.raises(SandboxError, match=f"{reason}: no such image"):
            cluster(fake, clock).run(FILES, Limits())
        assert fake.calls[-1].startswith("DELETE")
    assert not clock.slept


@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff", "CreateContainerError"])
def test_what_holds_a_pod_up_may_pass(reason):
    statuses = [*[waiting(reason)] * 100, {"phase": "Running"}, DONE]
    with fake_cluster(statuses=statuses, log=TOLD) as fake:
        assert cluster(fake).run(FILES, Limits()).ended == "exit"


def test_what_holds_a_pod_up_for_minutes_is_told():
    clock = Clock()
    with fake_cluster(statuses=[waiting("ErrImagePull")]) as fake:
        with pytest.raises(SandboxError, match=r"within 180 s\. ErrImagePull: no such image"):
            cluster(fake, clock).run(FILES, Limits())
        assert fake.calls[-1].startswith("DELETE")
    assert pods.HELD_UP_S < clock.now() < pods.HELD_UP_S + 2
    assert pods.HELD_UP_S < pods.GRACE_S, "the pod's own deadline would hide the reason"


UNPLACED = {
    "phase": "Pending",
    "conditions": [{"type": "PodScheduled", "message": "0/3 nodes: Too little cpu."}],
}


def test_a_pod_may_wait_for_minutes_while_the_cluster_grows(monkeypatch):
    monkeypatch.setattr("agenttts.runtime.sandbox.cluster.POLL_S", 10.0)
    clock = Clock()
    with fake_cluster(statuses=[*[UNPLACED] * 80, DONE], log=TOLD) as fake:
        assert cluster(fake, clock).run(FILES, Limits()).ended == "exit"
    assert clock.now() == 800


def test_a_pod_that_no_node_takes_is_told_in_the_end_with_the_scheduler_s_words(monkeypatch):
    monkeypatch.setattr("agenttts.runtime.sandbox.cluster.POLL_S", 10.0)
    with fake_cluster(statuses=[UNPLACED]) as fake:
        with pytest.raises(SandboxError, match=r"did not start within 900 s\. 0/3 nodes: Too little cpu\."):
            cluster(fake).run(FILES, Limits())
        assert fake.calls[-1].startswith("DELETE")


def test_a_pod_whose_end_is_never_reported_was_killed(monkeypatch):
    monkeypatch.setattr("agenttts.runtime.sandbox.cluster.POLL_S", 10.0)
    with fake_cluster(statuses=[{"phase": "Running", "startTime": "now"}]) as fake:
        assert cluster(fake).run(FILES, Limits()) == Ending("killed")
        assert fake.calls[-1].startswith("DELETE")


@pytest.mark.parametrize("failure", [(429, "TooManyRequests"), (500, "InternalError"), (503, "Unavailable")])
@pytest.mark.parametrize("place", ["networkpolicies", "POST", "status", "log", "DELETE"])
def test_a_hiccup_of_the_api_server_is_waited_for(place, failure):
    clock = Clock()
    with fake_cluster(
        policies=[CUT_OFF], statuses=[DONE], log=TOLD, failures={place: [failure, failure]}
    ) as fake:
        made = cluster(fake, clock)
        made.ready()
        assert made.run(FILES, Limits()).ended == "exit"
    assert clock.slept == [1.0, 2.0]
    assert fake.calls[-1].startswith("DELETE")


def test_a_pod_whose_creation_got_no_answer_is_not_made_twice():
    failures = {"POST": [(504, "Timeout"), (409, "AlreadyExists")]}
    with fake_cluster(statuses=[DONE], log=TOLD, failures=failures) as fake:
        assert cluster(fake).run(FILES, Limits()).ended == "exit"
    assert [call for call in fake.calls if call.startswith("POST")] == [fake.calls[0]] * 2


@pytest.mark.parametrize("failure", [(409, "Conflict"), (403, "exceeded quota: pods=10")])
def test_a_namespace_that_is_full_for_a_moment_is_waited_for(failure):
    with fake_cluster(statuses=[DONE], log=TOLD, failures={"POST": [failure]}) as fake:
        assert cluster(fake).run(FILES, Limits()).ended == "exit"


def test_an_api_server_that_stays_away_is_told_after_bounded_waiting():
    clock = Clock()
    with fake_cluster(refuse=503) as fake, pytest.raises(SandboxError, match="refuses: 503"):
        cluster(fake, clock).run(FILES, Limits())
    assert 120 < clock.now() < 300


@pytest.mark.parametrize(
    ("place", "failure"),
    [
        ("status", [(404, "NotFound")]),
        ("log", [(404, "NotFound")]),
        ("log", [(400, "BadRequest")]),
        ("log", [(500, "InternalError")] * 9),
    ],
)
def test_a_pod_that_is_lost_was_killed_and_the_search_goes_on(place, failure):
    with fake_cluster(statuses=[DONE], log=TOLD, failures={place: failure}) as fake:
        assert cluster(fake).run(FILES, Limits()) == Ending("killed")
        assert len(fake.created) == 1


def test_a_log_that_may_not_be_read_is_a_mistake_and_told():
    failures, told = {"log": [(403, "Forbidden")]}, "403 a failure: Forbidden"
    with (
        fake_cluster(statuses=[DONE], failures=failures) as fake,
        pytest.raises(SandboxError, match=told),
    ):
        cluster(fake).run(FILES, Limits())


@pytest.mark.parametrize("status", [{"phase": "Failed", "reason": "OutOfcpu"}, terminated("StartError", 128)])
def test_a_program_whose_pod_ended_before_it_began_gets_another_one(status):
    with fake_cluster(statuses=[status, DONE], log=TOLD) as fake:
        assert cluster(fake).run(FILES, Limits()).ended == "exit"
        assert len(fake.created) == 2


def test_a_program_that_no_pod_can_start_is_told():
    no_logs = {"log": [(400, "BadRequest")] * 9}
    with fake_cluster(statuses=[terminated("StartError", 128)], failures=no_logs) as fake:
        with pytest.raises(SandboxError, match="could not be started: StartError"):
            cluster(fake).run(FILES, Limits())
        assert len(fake.created) == 3


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
