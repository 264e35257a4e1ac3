"""Jobs: how they count their Pods, how they end, and what is left of them."""

from __future__ import annotations

from tests.simulator.manifests import PODS, pod_template

JOBS = "/apis/batch/v1/namespaces/default/jobs"


def job(name="task", image="registry.example/task:1", annotations=None, **spec):
    template = pod_template(name, image, restartPolicy="Never")
    template["metadata"]["annotations"] = annotations or {}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {"template": template, **spec}}


def kinds(found):
    return [c["type"] for c in found["status"].get("conditions", [])]


def test_an_indexed_job_has_a_pod_for_each_index(stepped):
    simulator, client = stepped
    client.post(JOBS, job(completionMode="Indexed", completions=4, parallelism=2))
    simulator.advance(0.1)
    pods = client.get(PODS)["items"]
    assert [pod["metadata"]["generateName"] for pod in pods] == ["task-0-", "task-1-"]
    first = pods[0]
    label = "batch.kubernetes.io/job-completion-index"
    assert first["metadata"]["labels"][label] == first["metadata"]["annotations"][label] == "0"
    assert first["spec"]["hostname"] == "task-0"
    assert first["spec"]["containers"][0]["env"][0]["name"] == "JOB_COMPLETION_INDEX"
    simulator.advance(3)
    assert client.get(f"{JOBS}/task")["status"]["completedIndexes"] == "0,1"
    simulator.advance(5)
    done = client.get(f"{JOBS}/task")["status"]
    assert (done["completedIndexes"], done["succeeded"]) == ("0-3", 4)


def test_a_failed_job_says_so_twice_and_was_never_complete(stepped):
    simulator, client = stepped
    client.post(JOBS, job(annotations={"simulated-exit-code": "3"}, backoffLimit=0))
    simulator.advance(5)
    found = client.get(f"{JOBS}/task")
    assert kinds(found) == ["FailureTarget", "Failed"]
    assert found["status"]["failed"] == 1
    assert "completionTime" not in found["status"]
    (pod,) = client.get(PODS)["items"]
    assert pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 3


def test_the_last_word_of_a_job_waits_for_its_last_pod(stepped):
    simulator, client = stepped
    client.post(JOBS, job(image="registry.example/never:1", activeDeadlineSeconds=3))
    simulator.advance(3.1)
    found = client.get(f"{JOBS}/task")
    assert kinds(found) == ["FailureTarget"]
    assert (found["status"]["failed"], found["status"]["terminating"]) == (1, 1)
    simulator.advance(1)
    found = client.get(f"{JOBS}/task")
    assert kinds(found) == ["FailureTarget", "Failed"]
    assert found["status"]["terminating"] == 0


def test_a_pod_that_somebody_deletes_counts_as_failed(stepped):
    simulator, client = stepped
    client.post(JOBS, job(image="registry.example/never:1"))
    simulator.advance(1)
    (pod,) = client.get(PODS)["items"]
    client.delete(f"{PODS}/{pod['metadata']['name']}")
    simulator.advance(2)
    assert client.get(f"{JOBS}/task")["status"]["failed"] == 1
    (other,) = client.get(PODS)["items"]
    assert other["metadata"]["name"] != pod["metadata"]["name"]


def test_a_deletion_without_a_policy_keeps_the_pods_and_warns(stepped):
    simulator, client = stepped
    client.post(JOBS, job(image="registry.example/never:1"))
    simulator.advance(1)
    answer = client("DELETE", f"{JOBS}/task")
    assert answer.body["kind"] == "Job"
    assert "child pods are preserved by default" in answer.headers["Warning"]
    simulator.advance(1)
    assert client("GET", f"{JOBS}/task").status == 404
    (pod,) = client.get(PODS)["items"]
    assert "ownerReferences" not in pod["metadata"]
    assert "finalizers" not in pod["metadata"]


def test_a_deletion_in_the_background_takes_the_pods_along(stepped):
    simulator, client = stepped
    client.post(JOBS, job(image="registry.example/never:1"))
    simulator.advance(1)
    answer = client("DELETE", f"{JOBS}/task?propagationPolicy=Background")
    assert "Warning" not in answer.headers
    simulator.advance(2)
    assert client.get(PODS)["items"] == []


def test_a_job_with_a_time_to_live_goes_with_its_pods(stepped):
    """In the foreground, so it stays in sight until its Pods are gone; they wait for nobody."""
    simulator, client = stepped
    client.post(JOBS, job(ttlSecondsAfterFinished=2))
    simulator.advance(3)
    assert kinds(client.get(f"{JOBS}/task")) == ["SuccessCriteriaMet", "Complete"]
    simulator.advance(4)
    assert client("GET", f"{JOBS}/task").status == 404
    assert client.get(PODS)["items"] == []
