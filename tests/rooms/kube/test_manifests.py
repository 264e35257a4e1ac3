"""Workloads found in the text of a manifest, as they are when it is read as YAML."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from addonry.kube.helm.manifests import objects_of, workloads_in

USUAL = """\
---
# Source: web/templates/service.yaml
apiVersion: v1
kind: Service
metadata:
  name: web
---
# Source: web/templates/deployment.yaml
apiVersion: apps/v1
kind: Deployment
metadata:
  labels:
    app: web
    name: a-label
  name: "web"
spec:
  template:
    metadata:
      name: a-pod
---
# Source: web/templates/autoscaler.yaml
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: web
spec:
  scaleTargetRef:
    kind: Deployment
    name: web
"""
OTHERS = """\
apiVersion: apps/v1
kind: DaemonSet
metadata:
    namespace: kube-system
    name: agent
---
metadata:
  name: data

  namespace: store
kind: StatefulSet
apiVersion: apps/v1
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: last
---
"""
TRAP = """\
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: script
data:
  apply.yaml: |
    apiVersion: apps/v1
    kind: Deployment
    metadata:
      name: not-an-object
"""


def by_yaml(manifest: str) -> set[tuple[str, str, str]]:
    return {
        (each["kind"], each["metadata"].get("namespace", "default"), each["metadata"]["name"])
        for each in objects_of(manifest)
        if each["kind"] in {"Deployment", "DaemonSet", "StatefulSet"}
    }


@pytest.mark.parametrize("manifest", [USUAL, OTHERS, TRAP, USUAL + "---\n" + OTHERS + TRAP, ""])
def test_the_text_tells_the_same_workloads_as_the_yaml(manifest):
    assert set(workloads_in(manifest, "default")) == by_yaml(manifest)


NAMES = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
METADATA = st.fixed_dictionaries(
    {"name": NAMES},
    optional={
        "namespace": NAMES,
        "labels": st.dictionaries(st.sampled_from(["app", "name", "namespace"]), NAMES, max_size=3),
        "annotations": st.dictionaries(NAMES, st.text("a: -#\n'\"kindDeployment", max_size=30), max_size=2),
    },
)
OBJECTS = st.fixed_dictionaries(
    {
        "apiVersion": st.just("v1"),
        "kind": st.sampled_from(["Deployment", "DaemonSet", "StatefulSet", "Service", "HorizontalPodAutoscaler"]),
        "metadata": METADATA,
    },
    optional={
        "spec": st.fixed_dictionaries({"scaleTargetRef": st.fixed_dictionaries({"kind": st.just("Deployment")})})
    },
)


@given(st.lists(OBJECTS, max_size=5))
def test_whatever_yaml_writes_is_read_alike(objects):
    """Names that look like numbers are quoted, and texts run over lines: charts have all of that."""
    manifest = "".join(f"---\n{yaml.safe_dump(each, default_flow_style=False)}" for each in objects)
    assert set(workloads_in(manifest, "default")) == by_yaml(manifest)


def test_a_workload_in_another_style_is_passed_over():
    assert list(workloads_in('{"kind": "Deployment", "metadata": {"name": "x"}}', "default")) == []
