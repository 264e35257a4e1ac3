"""Values for tests, each with sensible defaults: ``a_component(version="1.2.0")``, ``some_facts(...)``."""

from datetime import UTC, datetime
from typing import Any

from addonry.model.catalog import CatalogEntry, ChartSource, Fingerprints, Offer
from addonry.model.clusters import Cluster, Reach
from addonry.model.components import Component, Found, Health, Placement, SourceKind
from addonry.model.ids import ClusterId, ComponentName, TaskId, Version
from addonry.model.owners import Owner
from addonry.model.readiness import Facts
from addonry.model.tasks import Change, Task, TaskKind
from addonry.rules.planning import FORWARD

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


def a_cluster(**given: Any) -> Cluster:
    defaults: dict[str, Any] = {
        "id": ClusterId("c" + "1" * 32),
        "name": "prod",
        "region": "local",
        "server": "https://10.0.0.1:6443",
        "created_at": NOW,
        "updated_at": NOW,
        "kubernetes": "v1.36.2",
        "nodes": 3,
        "reach": Reach.ANSWERS,
        "scanned_at": NOW,
    }
    return Cluster(**{**defaults, **given})


def an_entry(name: str = "coredns", **given: Any) -> CatalogEntry:
    defaults: dict[str, Any] = {
        "name": ComponentName(name),
        "title": name,
        "source": ChartSource("https://charts.example", name),
        "fingerprints": Fingerprints(charts=(name,)),
        "release": name,
        "namespace": "kube-system",
    }
    return CatalogEntry(**{**defaults, **given})


def an_offer(version: str, name: str = "coredns", **given: Any) -> Offer:
    defaults: dict[str, Any] = {
        "component": ComponentName(name),
        "version": Version(version),
        "app_version": version,
        "kubernetes": "",
        "url": f"https://charts.example/{name}-{version}.tgz",
        "digest": "",
    }
    return Offer(**{**defaults, **given})


def a_component(version: str = "1.0.0", name: str = "coredns", **given: Any) -> Component:
    defaults: dict[str, Any] = {
        "placement": Placement(SourceKind.HELM, "kube-system", name),
        "version": Version(version),
        "app_version": version,
        "chart": name,
        "owner": Owner.HELM,
        "health": Health.CURRENT,
        "revision": 1,
        "deployed": 1,
        "values": {},
    }
    in_catalog = given.pop("in_catalog", True)
    return Component(ComponentName(name), Found(**{**defaults, **given}), in_catalog, NOW)


def some_facts(component: Component | None = None, *offers: Offer, **given: Any) -> Facts:
    name = component.name if component else ComponentName("coredns")
    defaults: dict[str, Any] = {
        "cluster": a_cluster(),
        "name": name,
        "component": component,
        "entry": an_entry(name),
        "offers": offers,
    }
    return Facts(**{**defaults, **given})


def a_change(name: str = "coredns", **given: Any) -> Change:
    defaults: dict[str, Any] = {
        "component": ComponentName(name),
        "kind": TaskKind.UPGRADE,
        "placement": Placement(SourceKind.HELM, "kube-system", name),
        "from_version": Version("1.0.0"),
        "to_version": Version("1.1.0"),
        "plan": FORWARD,
    }
    return Change(**{**defaults, **given})


def a_task(*changes: Change, **given: Any) -> Task:
    defaults: dict[str, Any] = {
        "id": TaskId("T-" + "2" * 24),
        "cluster": ClusterId("c" + "1" * 32),
        "kind": TaskKind.UPGRADE,
        "changes": changes or (a_change(),),
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Task(**{**defaults, **given})
