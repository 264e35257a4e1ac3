"""The Pod Security Standards: what the levels baseline and restricted find wrong with a Pod.

One function per check, named in `CHECKS` in the order in which messages tell them. Words as in the policy package of
kube-apiserver. See https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

PRIVILEGED: Final = "privileged"
BASELINE: Final = "baseline"
RESTRICTED: Final = "restricted"
LEVELS: Final = (PRIVILEGED, BASELINE, RESTRICTED)

_DEFAULT_CAPABILITIES: Final = frozenset(
    (
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    )
)
_SAFE_SYSCTLS: Final = frozenset(
    (
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.tcp_wmem",
    )
)
_SAFE_VOLUMES: Final = frozenset(
    (
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    )
)
_SELINUX_TYPES: Final = ("", "container_t", "container_init_t", "container_kvm_t", "container_engine_t")
_APPARMOR: Final = "container.apparmor.security.beta.kubernetes.io/"
_HANDLERS: Final = ("httpGet", "tcpSocket")

Spec = Mapping[str, Any]


class Violation(NamedTuple):
    """Why a Pod does not meet a level: in short, and where."""

    reason: str
    detail: str = ""


def violations(pod: Mapping[str, Any], level: str) -> tuple[Violation, ...]:
    """All of them, in the order messages tell them; none for the level privileged."""
    if level == PRIVILEGED:
        return ()
    return tuple(found for levels, check in CHECKS if level in levels and (found := check(pod)) is not None)


# ---------------------------------------------------------------------- parts


def _spec(pod: Mapping[str, Any]) -> Spec:
    return pod.get("spec") or {}


def _containers(pod: Mapping[str, Any]) -> list[Spec]:
    spec = _spec(pod)
    return [c for member in ("initContainers", "containers", "ephemeralContainers") for c in spec.get(member) or ()]


def _security(holder: Spec) -> Spec:
    return holder.get("securityContext") or {}


def _names(found: Iterable[Spec]) -> str:
    """`container "a"` or `containers "a", "b"`."""
    names = [str(container.get("name", "")) for container in found]
    return f"{_plural('container', names)} {_quoted(names)}"


def _plural(word: str, items: Sequence[Any]) -> str:
    return word if len(items) == 1 else f"{word}s"


def _quoted(items: Iterable[str]) -> str:
    return ", ".join(f'"{item}"' for item in items)


def _setters(pod: Mapping[str, Any], is_bad: Callable[[Spec], bool]) -> str:
    """Who sets it: the Pod, containers, or both; empty for nobody."""
    told = ["pod"] if is_bad(_security(_spec(pod))) else []
    if bad := [c for c in _containers(pod) if is_bad(_security(c))]:
        told.append(_names(bad))
    return " and ".join(told)


def _is_windows(pod: Mapping[str, Any]) -> bool:
    return (_spec(pod).get("os") or {}).get("name") == "windows"


# ---------------------------------------------------------------------- baseline


def _apparmor(pod: Mapping[str, Any]) -> Violation | None:
    allowed = ("", "RuntimeDefault", "Localhost")

    def is_bad(security: Spec) -> bool:
        return (security.get("appArmorProfile") or {}).get("type", "") not in allowed

    told = []
    if setters := _setters(pod, is_bad):
        told.append(f'{setters} must not set AppArmor profile type to "Unconfined"')
    for name, value in sorted(((pod.get("metadata") or {}).get("annotations") or {}).items()):
        if name.startswith(_APPARMOR) and value not in ("", "runtime/default") and not value.startswith("localhost/"):
            told.append(f'{name}="{value}"')
    return Violation(_plural("forbidden AppArmor profile", told), ", ".join(told)) if told else None


def _capabilities(pod: Mapping[str, Any]) -> Violation | None:
    told = _added(pod, _DEFAULT_CAPABILITIES)
    return Violation("non-default capabilities", told) if told else None


def _added(pod: Mapping[str, Any], allowed: Iterable[str]) -> str:
    extra: set[str] = set()
    bad = []
    for container in _containers(pod):
        found = set((_security(container).get("capabilities") or {}).get("add") or ()) - set(allowed)
        if found:
            bad.append(container)
            extra |= found
    return f"{_names(bad)} must not include {_quoted(sorted(extra))} in securityContext.capabilities.add" if bad else ""


def _host_namespaces(pod: Mapping[str, Any]) -> Violation | None:
    found = [f"{member}=true" for member in ("hostNetwork", "hostPID", "hostIPC") if _spec(pod).get(member)]
    return Violation("host namespaces", ", ".join(found)) if found else None


def _host_paths(pod: Mapping[str, Any]) -> Violation | None:
    names = [str(volume.get("name")) for volume in _spec(pod).get("volumes") or () if "hostPath" in volume]
    return Violation("hostPath volumes", f"{_plural('volume', names)} {_quoted(names)}") if names else None


def _host_ports(pod: Mapping[str, Any]) -> Violation | None:
    bad = [c for c in _containers(pod) if any(port.get("hostPort") for port in c.get("ports") or ())]
    ports = sorted({str(p["hostPort"]) for c in bad for p in c["ports"] if p.get("hostPort")})
    if not bad:
        return None
    verb = "uses" if len(bad) == 1 else "use"
    return Violation("hostPort", f"{_names(bad)} {verb} {_plural('hostPort', ports)} {', '.join(ports)}")


def _host_probes(pod: Mapping[str, Any]) -> Violation | None:
    bad, hosts = [], set()
    for container in _containers(pod):
        hooks = [container.get(probe) or {} for probe in ("livenessProbe", "readinessProbe", "startupProbe")]
        hooks += [(container.get("lifecycle") or {}).get(hook) or {} for hook in ("postStart", "preStop")]
        found = {host for hook in hooks for kind in _HANDLERS if (host := (hook.get(kind) or {}).get("host"))}
        if found:
            bad.append(container)
            hosts |= found
    if not bad:
        return None
    verb = "uses" if len(bad) == 1 else "use"
    told = f"{_names(bad)} {verb} probe or lifecycle {_plural('host', sorted(hosts))} {_quoted(sorted(hosts))}"
    return Violation("probe or lifecycle host", told)


def _privileged(pod: Mapping[str, Any]) -> Violation | None:
    bad = [c for c in _containers(pod) if _security(c).get("privileged")]
    return Violation("privileged", f"{_names(bad)} must not set securityContext.privileged=true") if bad else None


def _proc_mount(pod: Mapping[str, Any]) -> Violation | None:
    bad = [c for c in _containers(pod) if _security(c).get("procMount", "Default") != "Default"]
    kinds = sorted({_security(c)["procMount"] for c in bad})
    return (
        Violation("procMount", f"{_names(bad)} must not set securityContext.procMount to {_quoted(kinds)}")
        if bad
        else None
    )


def _selinux(pod: Mapping[str, Any]) -> Violation | None:
    def is_bad(security: Spec) -> bool:
        options = security.get("seLinuxOptions") or {}
        return bool(options.get("type", "") not in _SELINUX_TYPES or options.get("user") or options.get("role"))

    setters = _setters(pod, is_bad)
    if not setters:
        return None
    holders = [_security(_spec(pod)), *(_security(c) for c in _containers(pod))]
    options = [holder.get("seLinuxOptions") or {} for holder in holders]
    kinds = sorted({o["type"] for o in options if o.get("type", "") not in _SELINUX_TYPES})
    told = [f"{_plural('type', kinds)} {_quoted(kinds)}"] if kinds else []
    told += [f"{member} may not be set" for member in ("user", "role") if any(o.get(member) for o in options)]
    verb = "sets" if " and " not in setters and "containers" not in setters else "set"
    return Violation("seLinuxOptions", f"{setters} {verb} forbidden securityContext.seLinuxOptions: {'; '.join(told)}")


def _is_unconfined(security: Spec) -> bool:
    return (security.get("seccompProfile") or {}).get("type") == "Unconfined"


def _seccomp(pod: Mapping[str, Any]) -> Violation | None:
    setters = _setters(pod, _is_unconfined)
    told = f'{setters} must not set securityContext.seccompProfile.type to "Unconfined"'
    return Violation("seccompProfile", told) if setters else None


def _sysctls(pod: Mapping[str, Any]) -> Violation | None:
    named = [str(each.get("name")) for each in _security(_spec(pod)).get("sysctls") or ()]
    bad = [name for name in named if name not in _SAFE_SYSCTLS]
    return Violation("forbidden sysctls", ", ".join(bad)) if bad else None


def _host_process(pod: Mapping[str, Any]) -> Violation | None:
    setters = _setters(pod, lambda security: bool((security.get("windowsOptions") or {}).get("hostProcess")))
    told = f"{setters} must not set securityContext.windowsOptions.hostProcess=true"
    return Violation("hostProcess", told) if setters else None


# ---------------------------------------------------------------------- restricted


def _escalation(pod: Mapping[str, Any]) -> Violation | None:
    bad = [c for c in _containers(pod) if _security(c).get("allowPrivilegeEscalation") is not False]
    if not bad or _is_windows(pod):
        return None
    told = f"{_names(bad)} must set securityContext.allowPrivilegeEscalation=false"
    return Violation("allowPrivilegeEscalation != false", told)


def _no_capabilities(pod: Mapping[str, Any]) -> Violation | None:
    if _is_windows(pod):
        return None
    bad = [c for c in _containers(pod) if "ALL" not in ((_security(c).get("capabilities") or {}).get("drop") or ())]
    told = [f'{_names(bad)} must set securityContext.capabilities.drop=["ALL"]'] if bad else []
    if added := _added(pod, ("NET_BIND_SERVICE",)):
        told.append(added)
    return Violation("unrestricted capabilities", "; ".join(told)) if told else None


def _volumes(pod: Mapping[str, Any]) -> Violation | None:
    bad: list[str] = []
    kinds: set[str] = set()
    for volume in _spec(pod).get("volumes") or ():
        found = set(volume) - {"name"} - _SAFE_VOLUMES
        if found:
            bad.append(str(volume.get("name")))
            kinds |= found
    if not bad:
        return None
    verb = "uses" if len(bad) == 1 else "use"
    shown = sorted(kinds)
    told = f"{_plural('volume', bad)} {_quoted(bad)} {verb} restricted {_plural('volume type', shown)} {_quoted(shown)}"
    return Violation("restricted volume types", told)


def _non_root(pod: Mapping[str, Any]) -> Violation | None:
    whole = _security(_spec(pod)).get("runAsNonRoot")
    told = []
    refusing = [c for c in _containers(pod) if _security(c).get("runAsNonRoot") is False]
    silent = [c for c in _containers(pod) if _security(c).get("runAsNonRoot") is None]
    setters = (["pod"] if whole is False and silent else []) + ([_names(refusing)] if refusing else [])
    if setters:
        told.append(f"{' and '.join(setters)} must not set securityContext.runAsNonRoot=false")
    if silent and whole is None:
        told.append(f"pod or {_names(silent)} must set securityContext.runAsNonRoot=true")
    return Violation("runAsNonRoot != true", "; ".join(told)) if told else None


def _root_user(pod: Mapping[str, Any]) -> Violation | None:
    setters = _setters(pod, lambda security: security.get("runAsUser") == 0)
    return Violation("runAsUser=0", f"{setters} must not set runAsUser=0") if setters else None


def _seccomp_set(pod: Mapping[str, Any]) -> Violation | None:
    if _is_windows(pod):
        return None
    told = []
    if setters := _setters(pod, _is_unconfined):
        told.append(f'{setters} must not set securityContext.seccompProfile.type to "Unconfined"')
    if not (_security(_spec(pod)).get("seccompProfile") or {}).get("type"):
        silent = [c for c in _containers(pod) if not (_security(c).get("seccompProfile") or {}).get("type")]
        if silent:
            wanted = 'securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
            told.append(f"pod or {_names(silent)} must set {wanted}")
    return Violation("seccompProfile", "; ".join(told)) if told else None


_BOTH: Final = (BASELINE, RESTRICTED)
_LOW: Final = (BASELINE,)  # a stricter check takes the place of these in restricted
_HIGH: Final = (RESTRICTED,)

CHECKS: Final[tuple[tuple[tuple[str, ...], Callable[[Mapping[str, Any]], Violation | None]], ...]] = (
    (_BOTH, _apparmor),
    (_LOW, _capabilities),
    (_BOTH, _host_namespaces),
    (_LOW, _host_paths),
    (_BOTH, _host_ports),
    (_BOTH, _host_probes),
    (_BOTH, _privileged),
    (_BOTH, _proc_mount),
    (_BOTH, _selinux),
    (_LOW, _seccomp),
    (_BOTH, _sysctls),
    (_BOTH, _host_process),
    (_HIGH, _escalation),
    (_HIGH, _no_capabilities),
    (_HIGH, _volumes),
    (_HIGH, _non_root),
    (_HIGH, _root_user),
    (_HIGH, _seccomp_set),
)
