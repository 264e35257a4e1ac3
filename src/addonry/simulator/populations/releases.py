"""Helm's own records of the releases of a population, so that Helm finds them and can go on from there.

Helm keeps each revision in a Secret (https://helm.sh/docs/topics/advanced/#storage-backends). The chart in the record
has the objects as its templates: a rollback applies the recorded manifest, and an upgrade brings a chart of its own.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import yaml

from addonry.simulator.clock import timestamp
from addonry.simulator.populations.documents import Release, completed
from addonry.simulator.storage import Object


def objects_of(release: Release) -> list[Object]:
    """Everything the release put there, marked as Helm marks it."""
    chart = release.chart
    labels = {
        "app.kubernetes.io/instance": release.name,
        "app.kubernetes.io/managed-by": "Helm",
        "app.kubernetes.io/name": chart.name,
        "app.kubernetes.io/version": chart.app,
        "helm.sh/chart": f"{chart.name}-{chart.version}".replace("+", "_"),
    }
    notes = {"meta.helm.sh/release-name": release.name, "meta.helm.sh/release-namespace": release.namespace}
    objects = completed(release.items, release)
    for obj in objects:
        if obj["kind"] != "Namespace":
            metadata = obj["metadata"]
            metadata["labels"] = {**labels, **(metadata.get("labels") or {})}
            metadata["annotations"] = {**notes, **(metadata.get("annotations") or {})}
    return objects


def records_of(release: Release, objects: list[Object], now: datetime) -> Iterator[Object]:
    """The Secret of each revision."""
    for number in range(1, release.revisions + 1):
        status = release.status if number == release.revisions else "superseded"
        document = _document(release, objects, number, status, timestamp(now))
        yield {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "helm.sh/release.v1",
            "metadata": {
                "name": f"sh.helm.release.v1.{release.name}.v{number}",
                "namespace": release.namespace,
                "labels": {
                    "modifiedAt": str(int(now.timestamp())),
                    "name": release.name,
                    "owner": "helm",
                    "status": status,
                    "version": str(number),
                },
            },
            "data": {"release": _packed(document)},
        }


def _document(release: Release, objects: list[Object], number: int, status: str, at: str) -> dict[str, Any]:
    chart = release.chart
    # A namespace is made before the chart is applied, by --create-namespace, and belongs to no release; CRDs come from
    # the chart's crds/ folder, which the manifest leaves out.
    own = [obj for obj in objects if obj["kind"] not in ("Namespace", "CustomResourceDefinition")]
    texts = [
        (f"templates/{obj['metadata']['name']}-{obj['kind'].lower()}.yaml", yaml.safe_dump(_bare(obj), sort_keys=False))
        for obj in own
    ]
    metadata = {"name": chart.name, "version": chart.version, "appVersion": chart.app, "apiVersion": "v2"}
    if chart.kubernetes:
        metadata["kubeVersion"] = chart.kubernetes
    return {
        "name": release.name,
        "namespace": release.namespace,
        "version": number,
        "info": {
            "first_deployed": at,
            "last_deployed": at,
            "deleted": "",
            "description": _description(status, number),
            "status": status,
        },
        "chart": {
            "metadata": metadata,
            "lock": None,
            "templates": [{"name": name, "data": base64.b64encode(text.encode()).decode()} for name, text in texts],
            "values": {},
            "schema": None,
            "files": None,
        },
        "config": release.values,
        "manifest": "".join(f"---\n# Source: {chart.name}/{name}\n{text}" for name, text in texts),
        "hooks": [],
        # What Helm 4 notes of a release that it applies server-side; one of Helm 3 has nothing there.
        **({"apply_method": "ssa"} if release.applied else {}),
    }


def _description(status: str, number: int) -> str:
    if status.startswith("pending"):
        return "Preparing upgrade"
    return "Install complete" if number == 1 else "Upgrade complete"


def _bare(obj: Object) -> Mapping[str, Any]:
    """The object as a template writes it: Helm adds its annotations when it applies."""
    metadata = dict(obj["metadata"])
    notes = {k: v for k, v in metadata.pop("annotations", {}).items() if not k.startswith("meta.helm.sh/")}
    if notes:
        metadata["annotations"] = notes
    return {**obj, "metadata": metadata}


def _packed(document: Mapping[str, Any]) -> str:
    packed = gzip.compress(json.dumps(document, separators=(",", ":")).encode(), mtime=0)
    return base64.b64encode(base64.b64encode(packed)).decode()
