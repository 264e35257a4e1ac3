"""Objects and charts the tests of the simulator use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
PODS = "/api/v1/namespaces/default/pods"
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
# Every namespace has a config map with the certificate of the cluster; this selects all others.
OWN = "fieldSelector=metadata.name%21%3Dkube-root-ca.crt"


def pod_template(name: str, image: str, **spec: Any) -> dict[str, Any]:
    container = {"name": "app", "image": image}
    return {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container], **spec}}


def workload(kind: str, name: str, *, image: str = "registry.example/app:1.0", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"selector": {"matchLabels": {"app": name}}, "template": pod_template(name, image), **spec},
    }


def deployment(name: str = "web", **options: Any) -> dict[str, Any]:
    return workload("Deployment", name, **options)


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def new_image(image: str) -> dict[str, Any]:
    return {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": image}]}}}}


WIDGETS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "shortNames": ["wd"]},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {"type": "object", "properties": {"size": {"type": "integer"}}},
                            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                        },
                    }
                },
                "subresources": {"status": {}},
                "additionalPrinterColumns": [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}],
            }
        ],
    },
}

_CHART = {
    "Chart.yaml": "apiVersion: v2\nname: web\nversion: {version}\nappVersion: '{app}'\n",
    "values.yaml": "image: registry.example/app:1.0\nreplicas: 2\nmessage: hello\naccount: true\n",
    "templates/account.yaml": """{{- if .Values.account }}
apiVersion: v1
kind: ServiceAccount
metadata: {name: "{{ .Release.Name }}"}
{{- end }}
""",
    "templates/config.yaml": """apiVersion: v1
kind: ConfigMap
metadata: {name: "{{ .Release.Name }}"}
data: {message: "{{ .Values.message }}"}
""",
    "templates/service.yaml": """apiVersion: v1
kind: Service
metadata: {name: "{{ .Release.Name }}"}
spec:
  selector: {app: "{{ .Release.Name }}"}
  ports: [{name: http, port: 80}]
""",
    "templates/deployment.yaml": """apiVersion: apps/v1
kind: Deployment
metadata: {name: "{{ .Release.Name }}"}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: "{{ .Release.Name }}"}}
  template:
    metadata: {labels: {app: "{{ .Release.Name }}"}}
    spec:
      containers:
        - name: app
          image: "{{ .Values.image }}"
          ports: [{containerPort: 80}]
""",
}

_BIG = {
    "templates/hook.yaml": """apiVersion: batch/v1
kind: Job
metadata:
  name: "{{ .Release.Name }}-hook"
  annotations: {"helm.sh/hook": "pre-install,pre-upgrade", "helm.sh/hook-delete-policy": "before-hook-creation"}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      containers: [{name: hook, image: "{{ .Values.hook }}"}]
""",
    "templates/daemonset.yaml": """apiVersion: apps/v1
kind: DaemonSet
metadata: {name: "{{ .Release.Name }}-agent"}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec: {containers: [{name: app, image: "{{ .Values.image }}"}]}
""",
    "templates/statefulset.yaml": """apiVersion: apps/v1
kind: StatefulSet
metadata: {name: "{{ .Release.Name }}-db"}
spec:
  serviceName: db
  replicas: 2
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: app, image: "{{ .Values.image }}"}]}
""",
    "templates/role.yaml": """apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: "{{ .Release.Name }}"}
rules: [{apiGroups: [""], resources: [pods], verbs: [get, list]}]
""",
    "templates/widget.yaml": """apiVersion: example.com/v1
kind: Widget
metadata: {name: "{{ .Release.Name }}"}
spec: {size: 3}
""",
}


def write_chart(where: Path, *, version: str = "1.0.0", app: str = "1.0") -> Path:
    """A chart with a Deployment, a Service, a ConfigMap and a ServiceAccount."""
    for name, text in _CHART.items():
        path = where / "web" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.format(version=version, app=app) if name == "Chart.yaml" else text)
    return where / "web"


def write_big_chart(where: Path) -> Path:
    """A chart with crds/, a hook Job, a custom resource and the other workloads."""
    chart = write_chart(where)
    for name, text in _BIG.items():
        (chart / name).write_text(text)
    with (chart / "values.yaml").open("a") as values:
        values.write("hook: registry.example/hook:1\n")
    crds = chart / "crds"
    crds.mkdir()
    import json

    (crds / "widgets.yaml").write_text(json.dumps(WIDGETS))
    return chart
