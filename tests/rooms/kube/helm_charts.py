"""Small charts for the tests of the kube room, packed as a repository would."""

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from addonry.kube import Target
from addonry.model.catalog import ChartArchive, Offer
from addonry.model.ids import ComponentName, Version

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
  labels: {app.kubernetes.io/name: web, app.kubernetes.io/managed-by: Helm}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: {{ .Release.Name }}}}
  template:
    metadata: {labels: {app: {{ .Release.Name }}}}
    spec:
      containers:
      - name: web
        image: {{ .Values.image }}:{{ .Chart.AppVersion }}
"""

CONFIG = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}-config}
data:
  version: {{ .Chart.Version | quote }}
  mode: {{ .Values.mode | quote }}
"""

VALUES = {"replicas": 2, "image": "registry.example/web", "mode": "plain"}

HOOK = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-hook
  annotations: {"helm.sh/hook": "pre-install,pre-upgrade"}
data: {a: b}
"""

ASKS = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: asks, namespace: {{ .Release.Namespace }}}
data:
  version: {{ .Capabilities.KubeVersion.Version | quote }}
  ours: {{ .Capabilities.APIVersions.Has "example.com/v1" | quote }}
  theirs: {{ .Capabilities.APIVersions.Has "example.com/v2" | quote }}
  deployments: {{ .Capabilities.APIVersions.Has "apps/v1/Deployment" | quote }}
  old: {{ .Capabilities.APIVersions.Has "policy/v1beta1" | quote }}
  found: {{ (lookup "v1" "Namespace" "" "default" | default dict).metadata | default dict | toJson | quote }}
  upgrade: {{ .Release.IsUpgrade | quote }}
"""
"""A template that asks about the cluster."""

SCHEMA = {
    "type": "object",
    "properties": {
        "replicas": {"type": "integer", "minimum": 0},
        "mode": {"type": "string"},
        "password": {"type": "string", "pattern": "^[a-z]+$"},
    },
}

ENDLESS = "{{ range $i := until 100000 }}{{ range $j := until 100000 }}{{ end }}{{ end }}"
"""A template that counts for hours."""

RECURSING = {
    "values.yaml": "again: '{{ tpl .Values.again . }}'\n",
    "templates/a.yaml": "a: {{ tpl .Values.again . }}\n",
}
"""A template that calls itself through ``tpl`` without end: fatal for the process of Helm."""


def pack_chart(folder: Path, name: str, version: str, *, files: Mapping[str, str] | None = None) -> Path:
    """An archive of a chart: metadata, and *files* by path within it, or a Deployment and a ConfigMap."""
    metadata = {"apiVersion": "v2", "name": name, "version": version, "appVersion": version}
    contents = {"Chart.yaml": json.dumps(metadata)}
    contents |= files if files is not None else web_files()
    path = folder / f"{name}-{version}.tgz"
    with tarfile.open(path, "w:gz") as tar:
        for inner, text in contents.items():
            info = tarfile.TarInfo(f"{name}/{inner}")
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return path


def web_files(**values: Any) -> dict[str, str]:
    """The files of the usual chart, with *values* over its defaults."""
    return {
        "values.yaml": json.dumps({**VALUES, **values}),
        "values.schema.json": json.dumps(SCHEMA),
        "templates/deployment.yaml": DEPLOYMENT,
        "templates/config.yaml": CONFIG,
        "templates/NOTES.txt": "Thank you.\n",
    }


def a_target(archive: Path, version: str, values: Mapping[str, Any] | None = None, **given: Any) -> Target:
    """What a change would make a component run."""
    offer = Offer(ComponentName("web"), Version(version), version, "", "https://charts.example/web.tgz", "")
    return Target(version=Version(version), archive=ChartArchive(offer, archive, ""), values=values, **given)
