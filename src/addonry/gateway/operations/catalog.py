"""The catalog: what can be installed, in which versions (ack-api 03, sections 1 and 2), and Addonry's own view."""

import asyncio
import re
from typing import Final, TypedDict

import msgspec

from addonry.gateway import vocabulary
from addonry.gateway.codec import write_json
from addonry.gateway.operation import Call, Level, Parameter, Registry
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

OTHER: Final = "other"
"""The group of components without a category."""

_LOWER_BOUND: Final = re.compile(r"(?:>=?|\^|~)\s*v?([0-9]+(?:\.[0-9]+){0,2})")


class Addon(TypedDict):
    """One component that can be had."""

    name: str
    version: str
    category: str
    architecture: list[str]
    config_schema: str
    install_by_default: bool
    managed: bool
    supported_actions: list[str]


class Addons(TypedDict):
    """The components that can be had."""

    addons: list[Addon]


class NewerVersion(TypedDict):
    """A version newer than the one described."""

    version: str
    minimum_cluster_version: str
    upgradable: bool


class AddonDetail(Addon):
    """One component, and what is newer."""

    newer_versions: list[NewerVersion]


class GroupItem(TypedDict):
    """One component of a group."""

    name: str


class Group(TypedDict):
    """The components of one category."""

    group_name: str
    items: list[GroupItem]


class StandardComponent(TypedDict):
    """One component, as the deprecated catalog tells it."""

    name: str
    version: str
    description: str
    required: str
    disabled: bool
    config: str
    value: str
    properties: None


class StandardComponents(TypedDict):
    """The catalog without a cluster."""

    ComponentGroups: list[Group]
    StandardComponents: dict[str, StandardComponent]


class AddonMetadata(TypedDict):
    """The parameters of one version."""

    name: str
    version: str
    config_schema: str


_KIND = (
    Parameter("region_id", about="Components are the same in all regions."),
    Parameter("cluster_type", about="Components are the same for all types."),
    Parameter("profile", about="Likewise."),
    Parameter("cluster_spec", about="Likewise."),
    Parameter("cluster_version", about="What fits this Kubernetes; without it, everything."),
)
_CLUSTER = Parameter("cluster_id", about="What can be had on this cluster; the others are ignored then.")


@operations.add("ListAddons", "GET", "/addons", Level.LIST, Addons, query=(_CLUSTER, *_KIND))
async def list_addons(call: Call) -> Addons:
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


@operations.add(
    "DescribeAddon",
    "GET",
    "/addons/{addon_name}",
    Level.GET,
    AddonDetail,
    query=(_CLUSTER, *_KIND, Parameter("version", about="This version; without it, the newest.")),
)
async def describe_addon(call: Call) -> AddonDetail:
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
) -> AddonDetail:
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


@operations.add(
    "DescribeAddons",
    "GET",
    "/clusters/components/metadata",
    Level.LIST,
    StandardComponents,
    also=("cs:Queryk8sComponentsVersion",),
    query=(
        Parameter("region", about="Components are the same in all regions."),
        Parameter("cluster_type", about="Components are the same for all types, in any case."),
        Parameter("cluster_profile", about="Likewise."),
        Parameter("cluster_spec", about="Likewise."),
        Parameter("cluster_version", about="What fits this Kubernetes; without it, everything."),
    ),
)
async def describe_addons(call: Call) -> StandardComponents:
    """The catalog without a cluster, by category; ListAddons tells more."""
    kubernetes = call.text("cluster_version")
    groups: dict[str, list[GroupItem]] = {}
    components: dict[str, StandardComponent] = {}
    for item in await call.lifecycle.catalog():
        offer = _newest(item, kubernetes)
        if offer is None and kubernetes:
            continue
        entry = item.entry
        groups.setdefault(entry.category or OTHER, []).append({"name": entry.name})
        components[entry.name] = {
            "name": entry.name,
            "version": offer.version if offer else "",
            "description": entry.description,
            "required": "true" if entry.required else "false",
            "disabled": False,
            "config": "",
            "value": "",
            "properties": None,
        }
    listed: list[Group] = [{"group_name": name, "items": items} for name, items in sorted(groups.items())]
    return {"ComponentGroups": listed, "StandardComponents": components}


@operations.add(
    "DescribeClusterAddonMetadata",
    "GET",
    "/clusters/{cluster_id}/components/{component_id}/metadata",
    Level.GET,
    AddonMetadata,
    query=(Parameter("version", about="This version; without it, the newest on offer."),),
)
async def describe_cluster_addon_metadata(call: Call) -> AddonMetadata:
    """The parameters of one version of a component, as a JSON Schema in a text."""
    cluster, name, wanted = call.cluster("cluster_id"), call.path["component_id"], call.text("version")
    statuses = await call.lifecycle.status(cluster)
    status = statuses.get(name) or statuses.get(await call.lifecycle.resolve(name))
    if status is None:
        raise ComponentNotFound(name)
    kubernetes = (await call.lifecycle.cluster(cluster)).kubernetes
    try:
        item = await call.lifecycle.catalog_item(name)
    except ComponentNotFound:
        # Installed, but in no catalog: nobody knows its parameters.
        version = status.component.version if status.component else Version("")
        if wanted and not same_version(version, wanted):
            raise VersionNotFound(name, wanted) from None
        return {"name": name, "version": version, "config_schema": NO_SCHEMA}
    described = await _described(call, name, item, status, kubernetes)
    return {"name": name, "version": described["version"], "config_schema": described["config_schema"]}


def _find(item: CatalogItem, version: str, component: Component | None) -> Offer | None:
    for offer in item.offers:
        if same_version(version_of(offer, component, item.entry), version) or same_version(offer.version, version):
            return offer
    return None


def _newest(item: CatalogItem, kubernetes: str) -> Offer | None:
    return next(
        (offer for offer in proposable(item.offers) if not kubernetes or fits(offer, kubernetes, item.entry)), None
    )


def _newer(item: CatalogItem, component: Component | None, version: str, kubernetes: str) -> list[NewerVersion]:
    if not version:
        return []
    newer: list[NewerVersion] = [
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


def _addon_of(name: str, status: ComponentStatus) -> Addon:
    return _addon(name, next_version(status), status.entry, supported_actions(status))


def _addon(
    name: str, version: str, entry: CatalogEntry | None, actions: list[str], *, schema: str = NO_SCHEMA
) -> Addon:
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


class CatalogShape(TypedDict):
    """One component of the catalog."""

    name: str
    title: str
    category: str
    topic: str
    description: str
    aliases: list[str]
    required: bool
    repository: str
    chart: str
    namespace: str
    newest: str
    versions_count: int
    trouble: str


class CatalogList(TypedDict):
    """The catalog."""

    components: list[CatalogShape]
    requestId: str


class ChangeNote(TypedDict):
    """One change that the publisher of a version tells of."""

    kind: str
    text: str


class OfferShape(TypedDict):
    """One version on offer."""

    version: str
    app_version: str
    kubernetes: str
    created_at: str
    deprecated: bool
    prerelease: bool
    fixes_security: bool
    breaking: bool
    changes: list[ChangeNote]


class CatalogDetail(CatalogShape):
    """One component of the catalog, with its versions."""

    versions: list[OfferShape]
    requestId: str


@operations.add("ListCatalog", "GET", "/addonry/v1/catalog", Level.LIST, CatalogList)
async def list_catalog(call: Call) -> CatalogList:
    """Everything the catalog knows, with the newest version of each."""
    return _listed(call, await call.lifecycle.catalog())


@operations.add("GetCatalogItem", "GET", "/addonry/v1/catalog/{name}", Level.GET, CatalogDetail)
async def get_catalog_item(call: Call) -> CatalogDetail:
    """One component of the catalog with every version on offer, newest first."""
    return _detail(call, await call.lifecycle.catalog_item(call.path["name"]))


@operations.add("SyncCatalog", "POST", "/addonry/v1/catalog/sync", Level.UPDATE, CatalogList)
async def sync_catalog(call: Call) -> CatalogList:
    """Read the chart repositories now."""
    return _listed(call, await call.lifecycle.sync_catalog())


class ComponentFile(msgspec.Struct):
    """The body of AddCatalogFile."""

    content: str


@operations.add("AddCatalogFile", "POST", "/addonry/v1/catalog/files", Level.CREATE, CatalogDetail, body=ComponentFile)
async def add_catalog_file(call: Call) -> CatalogDetail:
    """Keep a component file of the site's own, in place of the one before; it counts at once.

    Its versions are known after the next reading of the chart repositories.
    """
    return _detail(call, await call.lifecycle.add_component_file(call.object(ComponentFile).content))


def _detail(call: Call, item: CatalogItem) -> CatalogDetail:
    return {
        **_item(item),
        "versions": [_offer(offer) for offer in item.offers],
        "requestId": call.request_id,
    }


def _listed(call: Call, items: tuple[CatalogItem, ...]) -> CatalogList:
    return {"components": [_item(item) for item in items], "requestId": call.request_id}


def _item(item: CatalogItem) -> CatalogShape:
    entry = item.entry
    newest = _newest(item, "")
    return {
        "name": entry.name,
        "title": entry.title,
        "category": entry.category,
        "topic": entry.topic,
        "description": entry.description,
        "aliases": list(entry.aliases),
        "required": entry.required,
        "repository": entry.source.repository if entry.source else "",
        "chart": entry.source.chart if entry.source else "",
        "namespace": entry.namespace,
        "newest": newest.version if newest else "",
        "versions_count": len(item.offers),
        "trouble": item.trouble,
    }


def _offer(offer: Offer) -> OfferShape:
    return {
        "version": offer.version,
        "app_version": offer.app_version,
        "kubernetes": offer.kubernetes,
        "created_at": vocabulary.moment(offer.created_at),
        "deprecated": offer.deprecated,
        "prerelease": offer.is_prerelease,
        "fixes_security": offer.fixes_security,
        "breaking": offer.is_breaking,
        "changes": [{"kind": note.kind, "text": note.text} for note in offer.notes],
    }
