"""API versions that Kubernetes has deprecated or removed, and what replaces them.

From https://kubernetes.io/docs/reference/using-api/deprecation-guide/ and
https://kubernetes.io/blog/2019/07/18/api-deprecations-in-1-16/. One line each: API version, kinds (``*`` for all), the
minor since which it is deprecated, the minor without it, its successor.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

GUIDE: Final = "https://kubernetes.io/docs/reference/using-api/deprecation-guide/"

_TABLE: Final = """
extensions/v1beta1                    Ingress                     1.14  1.22  networking.k8s.io/v1
extensions/v1beta1                    NetworkPolicy               1.9   1.16  networking.k8s.io/v1
extensions/v1beta1                    PodSecurityPolicy           1.10  1.16  -
extensions/v1beta1                    *                           1.9   1.16  apps/v1
apps/v1beta1                          *                           1.9   1.16  apps/v1
apps/v1beta2                          *                           1.9   1.16  apps/v1
admissionregistration.k8s.io/v1beta1  MutatingWebhookConfiguration    1.16  1.22  admissionregistration.k8s.io/v1
admissionregistration.k8s.io/v1beta1  ValidatingWebhookConfiguration  1.16  1.22  admissionregistration.k8s.io/v1
apiextensions.k8s.io/v1beta1          *                           1.16  1.22  apiextensions.k8s.io/v1
apiregistration.k8s.io/v1beta1        *                           1.19  1.22  apiregistration.k8s.io/v1
authentication.k8s.io/v1beta1         TokenReview                 1.19  1.22  authentication.k8s.io/v1
authorization.k8s.io/v1beta1          *                           1.19  1.22  authorization.k8s.io/v1
certificates.k8s.io/v1beta1           CertificateSigningRequest   1.19  1.22  certificates.k8s.io/v1
coordination.k8s.io/v1beta1           Lease                       1.19  1.22  coordination.k8s.io/v1
networking.k8s.io/v1beta1             Ingress                     1.19  1.22  networking.k8s.io/v1
networking.k8s.io/v1beta1             IngressClass                1.19  1.22  networking.k8s.io/v1
rbac.authorization.k8s.io/v1beta1     *                           1.17  1.22  rbac.authorization.k8s.io/v1
scheduling.k8s.io/v1beta1             PriorityClass               1.14  1.22  scheduling.k8s.io/v1
storage.k8s.io/v1beta1                CSIDriver                   1.19  1.22  storage.k8s.io/v1
storage.k8s.io/v1beta1                CSINode                     1.17  1.22  storage.k8s.io/v1
storage.k8s.io/v1beta1                StorageClass                1.6   1.22  storage.k8s.io/v1
storage.k8s.io/v1beta1                VolumeAttachment            1.19  1.22  storage.k8s.io/v1
batch/v1beta1                         CronJob                     1.21  1.25  batch/v1
discovery.k8s.io/v1beta1              EndpointSlice               1.21  1.25  discovery.k8s.io/v1
events.k8s.io/v1beta1                 Event                       1.19  1.25  events.k8s.io/v1
autoscaling/v2beta1                   HorizontalPodAutoscaler     1.22  1.25  autoscaling/v2
policy/v1beta1                        PodDisruptionBudget         1.21  1.25  policy/v1
policy/v1beta1                        PodSecurityPolicy           1.21  1.25  -
node.k8s.io/v1beta1                   RuntimeClass                1.22  1.25  node.k8s.io/v1
flowcontrol.apiserver.k8s.io/v1beta1  *                           1.23  1.26  flowcontrol.apiserver.k8s.io/v1
autoscaling/v2beta2                   HorizontalPodAutoscaler     1.23  1.26  autoscaling/v2
storage.k8s.io/v1beta1                CSIStorageCapacity          1.24  1.27  storage.k8s.io/v1
flowcontrol.apiserver.k8s.io/v1beta2  *                           1.26  1.29  flowcontrol.apiserver.k8s.io/v1
flowcontrol.apiserver.k8s.io/v1beta3  *                           1.29  1.32  flowcontrol.apiserver.k8s.io/v1
"""


@dataclass(frozen=True, slots=True)
class Removal:
    """The end of one API version of a kind."""

    deprecated: str
    """The minor since which it is."""
    removed: str
    """The first minor without it."""
    successor: str
    """Empty: nothing replaces it."""


@dataclass(frozen=True, slots=True)
class Requested:
    """An API that somebody has asked a cluster for, though it will be removed."""

    api: str
    """API version and resource: ``flowcontrol.apiserver.k8s.io/v1beta3 flowschemas``."""
    removed: str
    """The first minor without it."""


_METRIC: Final = re.compile(r"^apiserver_requested_deprecated_apis\{(?P<labels>[^}]*)\} [1-9]", re.MULTILINE)
_LABEL: Final = re.compile(r'(\w+)="([^"]*)"')


def requested_in(metrics: str) -> tuple[Requested, ...]:
    """What the API server's metrics tell of requests for deprecated APIs, since it was started.

    Who asked is not in them; an object does not tell either, because it is kept in one version whoever wrote it
    (https://kubernetes.io/docs/reference/using-api/deprecation-guide/#locate-use-of-deprecated-apis).
    """
    found = {}
    for match in _METRIC.finditer(metrics):
        labels = dict(_LABEL.findall(match["labels"]))
        removed, resource = labels.get("removed_release", ""), labels.get("resource", "")
        if removed and resource:
            version = "/".join(part for part in (labels.get("group", ""), labels.get("version", "")) if part)
            found[f"{version} {resource}"] = removed
    return tuple(Requested(api, removed) for api, removed in sorted(found.items()))


def _read() -> Mapping[tuple[str, str], Removal]:
    lines = (line.split() for line in _TABLE.strip().splitlines())
    return {
        (version, kind): Removal(deprecated, removed, "" if successor == "-" else successor)
        for version, kind, deprecated, removed, successor in lines
    }


REMOVALS: Final = _read()


def removal_of(kind: str) -> Removal | None:
    """Of ``apps/v1beta1 Deployment``; None when Kubernetes has not deprecated it, or knows nothing of it."""
    version, _, name = kind.partition(" ")
    return REMOVALS.get((version, name)) or REMOVALS.get((version, "*"))


def minor_number(minor: str) -> tuple[int, int]:
    """``1.36`` as numbers, for comparing; what is no minor is below all."""
    major, _, number = minor.partition(".")
    return (int(major), int(number)) if major.isdecimal() and number.isdecimal() else (0, 0)
