"""Helm behind one door, ``Helm``: the packaged library, or a ``helm`` command when the settings name one.

Both run as children of ``runner``, both pass the contract suite ``tests/rooms/kube/test_helm_child.py``. To add an
operation, give it to the Protocol, to both classes and, for the library, to ``child.OPERATIONS``.

What is always asked for, whoever carries it out:

- no waiting for pods: we watch the rollout ourselves. Hooks are waited for, they are part of the change;
- others' fields are taken over (``force_conflicts``) with the policy *overwrite*, told beforehand by the dry run. Helm 4
  sends server-side applies without force otherwise, and fails after any ``kubectl scale``. With *preserve* they are not
  sent at all (``keep``), by the library only. A rollback takes them always: it must come through;
- a release goes on being applied the way it was (*server_side*): Helm 4 keeps releases of Helm 3 client-side, where
  nothing conflicts, and refuses ``force_conflicts`` with it;
- the chart's ``crds/`` are left alone: they have a step of their own, because Helm installs them once and never again;
- all values are given, none reused: what Helm reuses depends on what it stored last, which may be a failed revision;
- a description that names the task, so that a later run recognises its own revision.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from addonry.kube import KubeSettings
from addonry.kube.helm.failures import failure, failure_of_command
from addonry.kube.helm.runner import ChildTrouble, HelmRunner
from addonry.model.errors import HelmFailed
from addonry.model.tasks import Edits

MAX_HISTORY: Final = 10
"""Revisions kept of each release; the deployed one and the one to go back to are always among them."""

_HELM_3: Final = 3
_MARGIN: Final = 0.75
"""Helm's own timeout as a share of the hard deadline, so that it can still write down its failure."""


@dataclass(frozen=True, slots=True)
class Site:
    """One release on one cluster, and the lock its operations hold."""

    kubeconfig: str = field(repr=False)
    namespace: str
    release: str
    lock: int | None = None
    """The descriptor from ``locks.hold_release``; the child keeps it open."""


@dataclass(frozen=True, slots=True)
class Chart:
    """What to make of a release: the archive or folder of a chart, and the whole of the user's values."""

    path: Path
    values: Mapping[str, Any] = field(repr=False)
    edits: Edits = Edits.OVERWRITE
    """What becomes of fields that others have set, where the release is applied server-side."""
    keep: tuple[Mapping[str, Any], ...] = ()
    """With PRESERVE: the fields that are not sent (``keep.Kept``)."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a chart may ask about the cluster it is rendered for."""

    kubernetes: str = ""
    api_versions: tuple[str, ...] = ()


class Helm(Protocol):
    """Real Helm. Each call raises HelmFailed, ClusterTrouble or ChartTrouble, and ends by the settings' deadline.

    A failure does not mean that nothing was done: read the release back.
    """

    async def install(
        self, site: Site, chart: Chart, *, description: str, create_namespace: bool, replace: bool = False
    ) -> None:
        """Install; *replace* reuses the name of a release that was uninstalled with its history kept."""
        ...

    async def upgrade(self, site: Site, chart: Chart, *, description: str, server_side: bool) -> None:
        """Upgrade a release whose newest revision is not pending; works on a failed first revision too."""
        ...

    async def rollback(self, site: Site, *, revision: int, server_side: bool) -> None:
        """Apply what *revision* was, as a new revision. There is no default: Helm's own would be a failed one."""
        ...

    async def uninstall(self, site: Site) -> None:
        """Remove the release; nothing to do when it is not there."""
        ...

    async def preview(self, site: Site, chart: Chart, *, is_upgrade: bool, server_side: bool) -> str:
        """The manifest, without hooks, that a change would apply: made as the change makes it, with what the cluster
        serves and what ``lookup`` finds there. Writes nothing. Refused for a pending release, and as long as the
        cluster does not know a kind of the chart.
        """
        ...

    async def render(self, site: Site, chart: Chart, *, is_upgrade: bool, capabilities: Capabilities) -> str:
        """The manifest, hooks among it, without a cluster: ``lookup`` finds nothing."""
        ...

    async def version(self) -> str:
        """Helm's version, ``v4.2.3``."""
        ...


def choose_helm(settings: KubeSettings) -> Helm:
    """The command when the settings name one, else the library."""
    runner = HelmRunner(settings.work_directory, silence=settings.helm_silence, before=settings.before_write)
    if settings.helm_binary:
        return HelmCommand(runner, binary=settings.helm_binary, seconds=settings.helm_seconds)
    return HelmLibrary(runner, seconds=settings.helm_seconds)


class HelmLibrary:
    """Helm's Go library through ``helm_python``."""

    def __init__(self, runner: HelmRunner, *, seconds: float) -> None:
        self._runner = runner
        self._seconds = seconds

    async def install(
        self, site: Site, chart: Chart, *, description: str, create_namespace: bool, replace: bool = False
    ) -> None:
        """See ``Helm``."""
        options = self._change(site, description, chart, server_side=True)
        options |= {"create_namespace": create_namespace, "replace": replace, "server_side_apply": True}
        await self._run("install", site, chart=chart, options=options)

    async def upgrade(self, site: Site, chart: Chart, *, description: str, server_side: bool) -> None:
        """See ``Helm``."""
        options = self._change(site, description, chart, server_side=server_side)
        options |= {"reset_values": True, "max_history": MAX_HISTORY}
        await self._run("upgrade", site, chart=chart, options=options)

    async def rollback(self, site: Site, *, revision: int, server_side: bool) -> None:
        """See ``Helm``."""
        options = {
            "version": revision,
            "timeout_seconds": self._patience(),
            "wait": "hookOnly",
            "force_conflicts": server_side,
            "server_side_apply": str(server_side).lower(),
            "max_history": MAX_HISTORY,
        }
        await self._run("rollback", site, options=options)

    async def uninstall(self, site: Site) -> None:
        """See ``Helm``."""
        options = {"ignore_not_found": True, "timeout_seconds": self._patience(), "wait": "hookOnly"}
        await self._run("uninstall", site, options=options)

    async def preview(self, site: Site, chart: Chart, *, is_upgrade: bool, server_side: bool) -> str:
        """See ``Helm``."""
        options = self._change(site, "", chart, server_side=server_side)
        options |= {"dry_run": "server", "disable_openapi_validation": True}
        options |= {"reset_values": True} if is_upgrade else {"server_side_apply": server_side}
        operation = "upgrade" if is_upgrade else "install"
        return str(await self._run(operation, site, chart=chart, options=options, known_as="preview"))

    async def render(self, site: Site, chart: Chart, *, is_upgrade: bool, capabilities: Capabilities) -> str:
        """See ``Helm``."""
        options: dict[str, Any] = {
            "name": site.release,
            "namespace": site.namespace,
            "is_upgrade": is_upgrade,
            "is_install": not is_upgrade,
        }
        if capabilities.kubernetes:
            options["kube_version"] = capabilities.kubernetes
        if capabilities.api_versions:
            options["api_versions"] = list(capabilities.api_versions)
        rendered: dict[str, str] = await self._run("render", site, chart=chart, options=options)
        return "".join(
            f"---\n# Source: {name}\n{text.strip()}\n"
            for name, text in sorted(rendered.items())
            if not name.endswith("NOTES.txt") and text.strip()
        )

    async def version(self) -> str:
        """See ``Helm``."""
        return str(await self._run("version", Site("", "", "")))

    def _change(self, site: Site, description: str, chart: Chart, *, server_side: bool) -> dict[str, Any]:
        return {
            "namespace": site.namespace,
            "timeout_seconds": self._patience(),
            "wait": "hookOnly",
            "force_conflicts": server_side and chart.edits is Edits.OVERWRITE,
            # A word for upgrades, a boolean for installs.
            "server_side_apply": str(server_side).lower(),
            "skip_crds": True,
            "description": description,
        }

    def _patience(self) -> int:
        return max(1, int(self._seconds * _MARGIN))

    async def _run(
        self,
        operation: str,
        site: Site,
        *,
        chart: Chart | None = None,
        options: Mapping[str, Any] | None = None,
        known_as: str = "",
    ) -> Any:
        request = {
            "operation": operation,
            "kubeconfig": site.kubeconfig,
            "namespace": site.namespace,
            "release": site.release,
            "chart": _path(chart) if chart else "",
            "values": chart.values if chart else {},
            "keep": chart.keep if chart else (),
            "options": options or {},
        }
        try:
            return await self._runner.run(request, seconds=self._seconds, inherit=_inherited(site))
        except ChildTrouble as trouble:
            told = {**request, "operation": known_as or operation}
            raise failure(trouble, request=told, seconds=self._seconds) from trouble


class HelmCommand:
    """A ``helm`` command, version 3.14 or later. Version 3 knows neither server-side apply nor its conflicts."""

    def __init__(self, runner: HelmRunner, *, binary: str, seconds: float) -> None:
        self._runner = runner
        self._binary = binary
        self._seconds = seconds
        self._major = 0

    async def install(
        self, site: Site, chart: Chart, *, description: str, create_namespace: bool, replace: bool = False
    ) -> None:
        """See ``Helm``."""
        arguments = ["install", site.release, _path(chart), *await self._change(description, chart, server_side=True)]
        arguments += ["--create-namespace"] if create_namespace else []
        arguments += ["--replace"] if replace else []
        await self._run(site, arguments, values=chart.values)

    async def upgrade(self, site: Site, chart: Chart, *, description: str, server_side: bool) -> None:
        """See ``Helm``."""
        arguments = ["upgrade", site.release, _path(chart), "--reset-values", "--history-max", str(MAX_HISTORY)]
        arguments += await self._change(description, chart, server_side=server_side)
        await self._run(site, arguments, values=chart.values)

    async def rollback(self, site: Site, *, revision: int, server_side: bool) -> None:
        """See ``Helm``."""
        arguments = ["rollback", site.release, str(revision), "--timeout", self._patience()]
        arguments += ["--history-max", str(MAX_HISTORY), *await self._how(server_side=server_side)]
        await self._run(site, arguments)

    async def uninstall(self, site: Site) -> None:
        """See ``Helm``."""
        await self._run(site, ["uninstall", site.release, "--ignore-not-found", "--timeout", self._patience()])

    async def preview(self, site: Site, chart: Chart, *, is_upgrade: bool, server_side: bool) -> str:
        """See ``Helm``."""
        arguments = ["upgrade", "--reset-values"] if is_upgrade else ["install"]
        arguments += [site.release, _path(chart), "--dry-run=server", "--output", "json"]
        arguments += ["--disable-openapi-validation", *await self._change("", chart, server_side=server_side)]
        told = await self._run(site, arguments, values=chart.values)
        try:
            return str(json.loads(told)["manifest"])
        except (ValueError, KeyError, TypeError) as error:
            raise HelmFailed("The helm command printed something else than a release.") from error

    async def render(self, site: Site, chart: Chart, *, is_upgrade: bool, capabilities: Capabilities) -> str:
        """See ``Helm``."""
        arguments = ["template", site.release, _path(chart), "--values", "-"]
        if is_upgrade:
            arguments.append("--is-upgrade")
        if capabilities.kubernetes:
            arguments += ["--kube-version", capabilities.kubernetes]
        for each in capabilities.api_versions:
            arguments += ["--api-versions", each]
        return await self._run(site, arguments, values=chart.values)

    async def version(self) -> str:
        """See ``Helm``."""
        return (await self._run(Site("", "", ""), ["version", "--template", "{{.Version}}"])).strip()

    async def _change(self, description: str, chart: Chart, *, server_side: bool) -> list[str]:
        if chart.keep:
            raise HelmFailed(
                "A helm command cannot leave fields out of what it applies.",
                remedy="Ask with edits `overwrite` or `none`, or unset ADDONRY_HELM to use the packaged Helm.",
            )
        arguments = ["--values", "-", "--skip-crds", "--timeout", self._patience(), "--description", description]
        return [*arguments, *await self._how(server_side=server_side, force=chart.edits is Edits.OVERWRITE)]

    async def _how(self, *, server_side: bool, force: bool = True) -> list[str]:
        """Helm 3 knows one way only, and these options not."""
        if not self._major:
            self._major = int((await self.version()).removeprefix("v").partition(".")[0])
        if self._major == _HELM_3:
            return []
        if not server_side:
            return ["--server-side=false"]
        return ["--server-side=true", "--force-conflicts"] if force else ["--server-side=true"]

    def _patience(self) -> str:
        return f"{max(1, int(self._seconds * _MARGIN))}s"

    async def _run(self, site: Site, arguments: list[str], *, values: Mapping[str, Any] | None = None) -> str:
        where = ["--namespace", site.namespace] if site.namespace else []
        who = ["--kubeconfig", "{kubeconfig}"] if site.kubeconfig else []
        request = {
            "operation": "command",
            "kubeconfig": site.kubeconfig,
            "release": site.release,
            "values": values or {},
            "arguments": [self._binary, *arguments, *where, *who],
            # JSON is YAML, and needs no writer of it.
            "input": json.dumps(values, default=str) if values is not None else "",
        }
        try:
            ended = await self._runner.run(request, seconds=self._seconds, inherit=_inherited(site))
        except ChildTrouble as trouble:
            raise failure(trouble, request={**request, "operation": arguments[0]}, seconds=self._seconds) from trouble
        if ended["status"] != 0:
            raise failure_of_command(ended["error"], request={**request, "operation": arguments[0]})
        return str(ended["output"])


def _path(chart: Chart) -> str:
    # A child has its own working directory, and Helm takes a path that is not there for the name of a repository.
    return str(chart.path.absolute())


def _inherited(site: Site) -> tuple[int, ...]:
    return () if site.lock is None else (site.lock,)


__all__ = ["Capabilities", "Chart", "Helm", "HelmCommand", "HelmLibrary", "Site", "choose_helm"]
