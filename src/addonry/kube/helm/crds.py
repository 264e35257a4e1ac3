"""The CRDs of a chart: found in its archive, and applied by server-side apply.

Helm installs ``crds/`` once and never again, so upgrading them is a step of ours
(https://helm.sh/docs/chart_best_practices/custom_resource_definitions/). Nothing here ever deletes.
"""

import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Final

from addonry.kube import CrdChange
from addonry.kube.api import Api
from addonry.kube.helm.manifests import objects_of
from addonry.model.errors import RenderFailed
from addonry.rules.differences import is_kept

FIELD_MANAGER: Final = "addonry"
_HELM: Final = "helm"
"""Who applies what a chart renders."""

_KIND: Final = "CustomResourceDefinition"
_PATH: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_FILE_LIMIT: Final = 8 * 1024 * 1024
_TOTAL_LIMIT: Final = 64 * 1024 * 1024


async def apply_crds(api: Api, crds: Sequence[Mapping[str, Any]], *, force: bool) -> int:
    """Create or update *crds*; how many. Raises FieldConflict unless *force* takes over others' fields.

    Other kinds that a chart keeps beside its CRDs are not sent: nothing would ever upgrade or remove them.
    """
    sent = 0
    for crd in _definitions(crds):
        params = {"fieldManager": FIELD_MANAGER, "force": "true" if force else "false"}
        await api.patch(f"{_PATH}/{crd['metadata']['name']}", dict(crd), kind="apply", params=params)
        sent += 1
    return sent


async def crd_changes(
    api: Api, crds: Iterable[Mapping[str, Any]], *, manager: str = FIELD_MANAGER
) -> tuple[CrdChange, ...]:
    """Those of *crds* that *manager* would create or change by server-side apply, as a dry run of it tells.

    Writes nothing. Other kinds among them are passed over.
    """
    found = []
    for crd in _definitions(crds):
        name = str(crd["metadata"]["name"])
        stored = await api.get_or_none(f"{_PATH}/{name}")
        becomes: Mapping[str, Any] = crd
        if stored is not None:
            params = {"fieldManager": manager, "force": "true", "dryRun": "All"}
            becomes = await api.patch(f"{_PATH}/{name}", dict(crd), kind="apply", params=params)
            if becomes["spec"] == stored["spec"]:
                continue
        found.append(CrdChange(name, stored, becomes))
    return tuple(found)


async def templated_crd_changes(
    api: Api, before: Iterable[Mapping[str, Any]], after: Iterable[Mapping[str, Any]]
) -> tuple[CrdChange, ...]:
    """The CRDs that Helm itself would create, change, or delete with all objects of their kinds, as it goes from one
    manifest to another. Writes nothing.
    """
    after = tuple(after)
    staying = {str(crd["metadata"]["name"]) for crd in _definitions(after)}
    going = [
        str(crd["metadata"]["name"])
        for crd in _definitions(before)
        if crd["metadata"]["name"] not in staying and not is_kept(crd)
    ]
    stored = [(name, await api.get_or_none(f"{_PATH}/{name}")) for name in going]
    gone = (CrdChange(name, found, None) for name, found in stored if found is not None)
    return (*await crd_changes(api, after, manager=_HELM), *gone)


def _definitions(objects: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    return (each for each in objects if each.get("kind") == _KIND)


def crds_of(archive: Path, values: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    """The CRDs of the chart in *archive*, and of those of its subcharts that *values* leave switched on.

    The archive has been checked when it was fetched. Raises RenderFailed for one that cannot be read all the same.
    """
    try:
        texts = dict(_members(archive))
    except (tarfile.TarError, OSError, EOFError, UnicodeDecodeError) as error:
        raise RenderFailed(f"The chart's archive {archive.name} cannot be read.") from error
    charts = _Charts(texts)
    found: list[dict[str, Any]] = []
    for name in sorted(texts):
        path = PurePosixPath(name)
        if "crds" in path.parts and path.suffix in {".yaml", ".yml", ".json"} and charts.is_on(path, values):
            found += (each for each in objects_of(texts[name]) if each.get("kind") == _KIND)
    return tuple(found)


def _members(archive: Path) -> Iterator[tuple[str, str]]:
    """Names and texts of what matters here: definitions, and the two files that say whether a subchart is on."""
    total = 0
    with tarfile.open(archive) as tar:
        for member in tar:
            name = PurePosixPath(member.name)
            wanted = "crds" in name.parts or name.name in {"Chart.yaml", "values.yaml"}
            if not member.isfile() or not wanted or "templates" in name.parts:
                continue
            total += member.size
            if member.size > _FILE_LIMIT or total > _TOTAL_LIMIT:
                raise RenderFailed(f"The chart's archive {archive.name} holds larger files than any chart needs.")
            file = tar.extractfile(member)
            assert file is not None, "a regular file has contents"
            yield member.name, file.read().decode()


class _Charts:
    """Which subcharts are on: ``dependencies[].condition`` and ``tags`` of Chart.yaml, as Helm reads them.

    https://helm.sh/docs/topics/charts/#tags-and-condition-fields-in-dependencies
    """

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts

    def is_on(self, path: PurePosixPath, values: Mapping[str, Any]) -> bool:
        """Whether the chart that *path* lies in is on, and every chart around it."""
        return self._is_on(path.parts, 1, values)

    def _is_on(self, parts: tuple[str, ...], chart: int, values: Mapping[str, Any]) -> bool:
        if chart + 1 >= len(parts) or parts[chart] != "charts":
            return True
        parent, name = "/".join(parts[:chart]), parts[chart + 1]
        defaults = _document(self._texts.get(f"{parent}/values.yaml", ""))
        # A chart may be a dependency several times under different aliases; its folder is there once.
        uses = [each for each in self._dependencies(parent) if each.get("name") == name] or [{"name": name}]
        return any(
            _is_switched_on(use, values, defaults)
            and self._is_on(parts, chart + 2, _mapping(values.get(str(use.get("alias") or name))))
            for use in uses
        )

    def _dependencies(self, chart: str) -> list[Mapping[str, Any]]:
        listed = _document(self._texts.get(f"{chart}/Chart.yaml", "")).get("dependencies")
        return [each for each in listed if isinstance(each, Mapping)] if isinstance(listed, list) else []


def _is_switched_on(dependency: Mapping[str, Any], *layers: Mapping[str, Any]) -> bool:
    """The first condition that says something decides; else the tags, of which one is enough; else it is on."""
    for condition in str(dependency.get("condition") or "").split(","):
        verdict = _switch(condition.strip(), *layers)
        if verdict is not None:
            return verdict
    tags = [_switch(f"tags.{tag}", *layers) for tag in dependency.get("tags") or ()]
    told = [each for each in tags if each is not None]
    return any(told) if told else True


def _switch(path: str, *layers: Mapping[str, Any]) -> bool | None:
    """The first boolean at the dotted *path* in *layers*."""
    for layer in layers:
        value: Any = layer
        for key in path.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        if isinstance(value, bool):
            return value
    return None


def _document(text: str) -> Mapping[str, Any]:
    import yaml

    try:
        return _mapping(yaml.safe_load(text))
    except yaml.YAMLError:
        return {}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
