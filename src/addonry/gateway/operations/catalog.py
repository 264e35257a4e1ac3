"""The catalog: what can be installed, in which versions (ack-api 03, sections 1 and 2), and Addonry's own view."""

import asyncio
import re
from typing import Any, Final

from addonry.gateway import vocabulary
from addonry.gateway.codec import write_json
from addonry.gateway.operation import Call, Registry
from addonry.gateway.operations.components import next_version, supported_actions
from addonry.lifecycle import CatalogItem, ComponentStatus
from addonry.model.catalog import CatalogEntry, Offer
from addonry.model.components import Component
from addonry.model.errors import ChartTrouble, ComponentNotFound, NotThere, VersionNotFound
from addonry.model.ids import ClusterId, Version
from addonry.rules.offers import fits, proposable, version_of
from addonry.rules.versions import is_newer, same_version

operations = Registry()

SCHEMA_SECONDS: Final = 3.0
"""How long an answer waits for a chart's schema; clients give up after ten (ack-gateway 5.1)."""

NO_SCHEMA: Final = "{}"

_LOWER_BOUND: Final = re.compile(r"(?:>=?|\^|~)\s*v?([0-9]+(?:\.[0-9]+){0,2})")


@operations.add("ListAddons", "GET", "/addons", may="catalog:read")
async def list_addons(call: Call) -> Any:
    """What can be installed: on the cluster ``cluster_id``, or at all."""
    cluster = call.text("cluster_id")
    if cluster:
        statuses = await call.lifecycle.status(ClusterId(cluster))
        return {"addons": [_addon_of(name, status) for name, status in statuses.items()]}
    kubernetes = call.text("cluster_version")
    listed = []
    for item in await call.lifecycle.catalog():
        offer = _newest(item, kubernetes)
        if offer is not None or not kubernetes:
            listed.append(_addon(item.entry.name, offer.version if offer else "", item.entry, ["Install", "Upgrade"]))
    return {"addons": listed}


@operations.add("DescribeAddon", "GET", "/addons/{addon_name}", may="catalog:read")
async def describe_addon(call: Call) -> Any:
    """One component in one version, and the versions newer than it, those that can be upgraded to first."""
    name, cluster = call.path["addon_name"], call.text("cluster_id")
    status: ComponentStatus | None = None
    kubernetes = call.text("cluster_version")
    if cluster:
        statuses = await call.lifecycle.status(ClusterId(cluster))
        status = statuses.get(name) or statuses.get(await call.lifecycle.resolve(name))
        kubernetes = (await call.lifecycle.cluster(ClusterId(cluster))).kubernetes
    try:
        item = await call.lifecycle.catalog_item(name)
    except ComponentNotFound:
        if status is None or status.component is None:
            raise
        # Installed, but in no catalog: it can be described as it is, and nothing newer is known.
        return {**_addon_of(name, status), "newer_versions": []}
    return await _described(call, name, item, status, kubernetes)


async def _described(
    call: Call, name: str, item: CatalogItem, status: ComponentStatus | None, kubernetes: str
) -> dict[str, Any]:
    component = status.component if status else None
    wanted = call.text("version")
    offer = _find(item, wanted, component) if wanted else _newest(item, kubernetes)
    if wanted and offer is None and not (component and same_version(component.version, wanted)):
        raise VersionNotFound(name, wanted)
    version = Version(wanted) if wanted else (version_of(offer, component, item.entry) if offer else Version(""))
    actions = supported_actions(status) if status else ["Install", "Upgrade"]
    schema = await _schema(call, item.entry.name, offer) if offer else NO_SCHEMA
    newer = _newer(item, component, version, kubernetes)
    return {**_addon(name, version, item.entry, actions, schema=schema), "newer_versions": newer}


def _find(item: CatalogItem, version: str, component: Component | None) -> Offer | None:
    for offer in item.offers:
        if same_version(version_of(offer, component, item.entry), version) or same_version(offer.version, version):
            return offer
    return None


def _newest(item: CatalogItem, kubernetes: str) -> Offer | None:
    return next(
        (offer for offer in proposable(item.offers) if not kubernetes or fits(offer, kubernetes, item.entry)), None
    )


def _newer(item: CatalogItem, component: Component | None, version: str, kubernetes: str) -> list[dict[str, Any]]:
    if not version:
        return []
    newer = [
        {
            "version": version_of(offer, component, item.entry),
            "minimum_cluster_version": _minimum(offer),
            "upgradable": bool(kubernetes) and fits(offer, kubernetes, item.entry),
        }
        for offer in proposable(item.offers)
        if is_newer(version_of(offer, component, item.entry), than=version)
    ]
    # Terraform takes the first upgradable one for the next version; the sort is stable, so newest stay first.
    return sorted(newer, key=lambda each: not each["upgradable"])


def _minimum(offer: Offer) -> str:
    """The lower bound of the chart's range, for people; whether it fits is decided by ``rules``."""
    found = _LOWER_BOUND.search(offer.kubernetes)
    return found.group(1) if found else ""


async def _schema(call: Call, name: str, offer: Offer) -> str:
    # The answer is useful without it, so a slow or broken repository must not take it away.
    try:
        async with asyncio.timeout(SCHEMA_SECONDS):
            schema = (await call.lifecycle.chart(name, offer.version)).schema
    except (ChartTrouble, NotThere, TimeoutError):
        return NO_SCHEMA
    return write_json(dict(schema)).decode() if schema else NO_SCHEMA


def _addon_of(name: str, status: ComponentStatus) -> dict[str, Any]:
    return _addon(name, next_version(status), status.entry, supported_actions(status))


def _addon(
    name: str, version: str, entry: CatalogEntry | None, actions: list[str], *, schema: str = NO_SCHEMA
) -> dict[str, Any]:
    return {
        "name": name,
        "version": version,
        "category": entry.category if entry else "",
        "architecture": [],
        "config_schema": schema,
        "install_by_default": entry.required if entry else False,
        "managed": False,
        "supported_actions": actions,
    }


# Addonry's own


@operations.add("ListCatalog", "GET", "/addonry/v1/catalog", may="catalog:read")
async def list_catalog(call: Call) -> Any:
    """Everything the catalog knows, with the newest version of each."""
    return _listed(call, await call.lifecycle.catalog())


@operations.add("GetCatalogItem", "GET", "/addonry/v1/catalog/{name}", may="catalog:read")
async def get_catalog_item(call: Call) -> Any:
    """One component of the catalog with every version on offer, newest first."""
    item = await call.lifecycle.catalog_item(call.path["name"])
    return {
        **_item(item),
        "versions": [_offer(offer) for offer in item.offers],
        "requestId": call.request_id,
    }


@operations.add("SyncCatalog", "POST", "/addonry/v1/catalog/sync", may="catalog:sync")
async def sync_catalog(call: Call) -> Any:
    """Read the chart repositories now."""
    return _listed(call, await call.lifecycle.sync_catalog())


def _listed(call: Call, items: tuple[CatalogItem, ...]) -> dict[str, Any]:
    return {"components": [_item(item) for item in items], "requestId": call.request_id}


def _item(item: CatalogItem) -> dict[str, Any]:
    entry = item.entry
    newest = _newest(item, "")
    return {
        "name": entry.name,
        "title": entry.title,
        "category": entry.category,
        "description": entry.description,
        "aliases": list(entry.aliases),
        "required": entry.required,
        "repository": entry.source.repository,
        "chart": entry.source.chart,
        "namespace": entry.namespace,
        "newest": newest.version if newest else "",
        "versions_count": len(item.offers),
        "trouble": item.trouble,
    }


def _offer(offer: Offer) -> dict[str, Any]:
    return {
        "version": offer.version,
        "app_version": offer.app_version,
        "kubernetes": offer.kubernetes,
        "created_at": vocabulary.moment(offer.created_at),
        "deprecated": offer.deprecated,
    }
