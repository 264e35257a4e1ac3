"""Which resources a cluster serves.

`BUILT_IN` is what a plain Kubernetes 1.36 serves, as a table of facts taken from its discovery documents; `versions`
says what older and newer ones serve instead, and a custom resource definition adds its own to one cluster's `Served`. To add a resource, add a line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Final, NamedTuple

from addonry.simulator.versions import DEFAULT_VERSION, ERAS, is_served, minor_of

ALL_VERBS: Final = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
# The same of custom resources, in the order in which their discovery tells them.
CUSTOM_VERBS: Final = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")
STATUS_VERBS: Final = ("get", "patch", "update")

# group/version, kind, plural, scope, short names, categories, subresources, verbs where they are not the usual eight
_TABLE: Final = """
v1                               Binding                           bindings                           namespaced  -         -               -                    create
v1                               ComponentStatus                   componentstatuses                  cluster     cs        -               -                    get,list
v1                               ConfigMap                         configmaps                         namespaced  cm        -               -                    -
v1                               Endpoints                         endpoints                          namespaced  ep        -               -                    -
v1                               Event                             events                             namespaced  ev        -               -                    -
v1                               LimitRange                        limitranges                        namespaced  limits    -               -                    -
v1                               Namespace                         namespaces                         cluster     ns        -               finalize,status      -deletecollection
v1                               Node                              nodes                              cluster     no        -               proxy,status         -
v1                               PersistentVolumeClaim             persistentvolumeclaims             namespaced  pvc       -               status               -
v1                               PersistentVolume                  persistentvolumes                  cluster     pv        -               status               -
v1                               Pod                               pods                               namespaced  po        all             attach,binding,ephemeralcontainers,eviction,exec,log,portforward,proxy,resize,status -
v1                               PodTemplate                       podtemplates                       namespaced  -         -               -                    -
v1                               ReplicationController             replicationcontrollers             namespaced  rc        all             scale,status         -
v1                               ResourceQuota                     resourcequotas                     namespaced  quota     -               status               -
v1                               Secret                            secrets                            namespaced  -         -               -                    -
v1                               ServiceAccount                    serviceaccounts                    namespaced  sa        -               token                -
v1                               Service                           services                           namespaced  svc       all             proxy,status         -
apiregistration.k8s.io/v1        APIService                        apiservices                        cluster     -         api-extensions  status               -
apps/v1                          ControllerRevision                controllerrevisions                namespaced  -         -               -                    -
apps/v1                          DaemonSet                         daemonsets                         namespaced  ds        all             status               -
apps/v1                          Deployment                        deployments                        namespaced  deploy    all             scale,status         -
apps/v1                          ReplicaSet                        replicasets                        namespaced  rs        all             scale,status         -
apps/v1                          StatefulSet                       statefulsets                       namespaced  sts       all             scale,status         -
events.k8s.io/v1                 Event                             events                             namespaced  ev        -               -                    -
authentication.k8s.io/v1         SelfSubjectReview                 selfsubjectreviews                 cluster     -         -               -                    create
authentication.k8s.io/v1         TokenReview                       tokenreviews                       cluster     -         -               -                    create
authorization.k8s.io/v1          LocalSubjectAccessReview          localsubjectaccessreviews          namespaced  -         -               -                    create
authorization.k8s.io/v1          SelfSubjectAccessReview           selfsubjectaccessreviews           cluster     -         -               -                    create
authorization.k8s.io/v1          SelfSubjectRulesReview            selfsubjectrulesreviews            cluster     -         -               -                    create
authorization.k8s.io/v1          SubjectAccessReview               subjectaccessreviews               cluster     -         -               -                    create
autoscaling/v2                   HorizontalPodAutoscaler           horizontalpodautoscalers           namespaced  hpa       all             status               -
autoscaling/v1                   HorizontalPodAutoscaler           horizontalpodautoscalers           namespaced  hpa       all             status               -
batch/v1                         CronJob                           cronjobs                           namespaced  cj        all             status               -
batch/v1                         Job                               jobs                               namespaced  -         all             status               -
certificates.k8s.io/v1           CertificateSigningRequest         certificatesigningrequests         cluster     csr       -               approval,status      -
networking.k8s.io/v1             IngressClass                      ingressclasses                     cluster     -         -               -                    -
networking.k8s.io/v1             Ingress                           ingresses                          namespaced  ing       -               status               -
networking.k8s.io/v1             IPAddress                         ipaddresses                        cluster     ip        -               -                    -
networking.k8s.io/v1             NetworkPolicy                     networkpolicies                    namespaced  netpol    -               -                    -
networking.k8s.io/v1             ServiceCIDR                       servicecidrs                       cluster     -         -               status               -
policy/v1                        PodDisruptionBudget               poddisruptionbudgets               namespaced  pdb       -               status               -
rbac.authorization.k8s.io/v1     ClusterRoleBinding                clusterrolebindings                cluster     -         -               -                    -
rbac.authorization.k8s.io/v1     ClusterRole                       clusterroles                       cluster     -         -               -                    -
rbac.authorization.k8s.io/v1     RoleBinding                       rolebindings                       namespaced  -         -               -                    -
rbac.authorization.k8s.io/v1     Role                              roles                              namespaced  -         -               -                    -
storage.k8s.io/v1                CSIDriver                         csidrivers                         cluster     -         -               -                    -
storage.k8s.io/v1                CSINode                           csinodes                           cluster     -         -               -                    -
storage.k8s.io/v1                CSIStorageCapacity                csistoragecapacities               namespaced  -         -               -                    -
storage.k8s.io/v1                StorageClass                      storageclasses                     cluster     sc        -               -                    -
storage.k8s.io/v1                VolumeAttachment                  volumeattachments                  cluster     -         -               status               -
storage.k8s.io/v1                VolumeAttributesClass             volumeattributesclasses            cluster     vac       -               -                    -
admissionregistration.k8s.io/v1  MutatingAdmissionPolicy           mutatingadmissionpolicies          cluster     -         api-extensions  -                    -
admissionregistration.k8s.io/v1  MutatingAdmissionPolicyBinding    mutatingadmissionpolicybindings    cluster     -         api-extensions  -                    -
admissionregistration.k8s.io/v1  MutatingWebhookConfiguration      mutatingwebhookconfigurations      cluster     -         api-extensions  -                    -
admissionregistration.k8s.io/v1  ValidatingAdmissionPolicy         validatingadmissionpolicies        cluster     -         api-extensions  status               -
admissionregistration.k8s.io/v1  ValidatingAdmissionPolicyBinding  validatingadmissionpolicybindings  cluster     -         api-extensions  -                    -
admissionregistration.k8s.io/v1  ValidatingWebhookConfiguration    validatingwebhookconfigurations    cluster     -         api-extensions  -                    -
apiextensions.k8s.io/v1          CustomResourceDefinition          customresourcedefinitions          cluster     crd,crds  api-extensions  status               -
scheduling.k8s.io/v1             PriorityClass                     priorityclasses                    cluster     pc        -               -                    -
coordination.k8s.io/v1           Lease                             leases                             namespaced  -         -               -                    -
node.k8s.io/v1                   RuntimeClass                      runtimeclasses                     cluster     -         -               -                    -
discovery.k8s.io/v1              EndpointSlice                     endpointslices                     namespaced  -         -               -                    -
resource.k8s.io/v1               DeviceClass                       deviceclasses                      cluster     -         -               -                    -
resource.k8s.io/v1               ResourceClaim                     resourceclaims                     namespaced  -         -               status               -
resource.k8s.io/v1               ResourceClaimTemplate             resourceclaimtemplates             namespaced  -         -               -                    -
resource.k8s.io/v1               ResourceSlice                     resourceslices                     cluster     -         -               -                    -
flowcontrol.apiserver.k8s.io/v1  FlowSchema                        flowschemas                        cluster     -         -               status               -
flowcontrol.apiserver.k8s.io/v1  PriorityLevelConfiguration        prioritylevelconfigurations        cluster     -         -               status               -
"""

# Kinds whose objects carry metadata.generation, as recorded; every custom resource does as well.
_WITH_GENERATION: Final = frozenset(
    (
        "Pod",
        "ReplicationController",
        "DaemonSet",
        "Deployment",
        "ReplicaSet",
        "StatefulSet",
        "CronJob",
        "Job",
        "Ingress",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "EndpointSlice",
        "CustomResourceDefinition",
        "EndpointSlice",
        "FlowSchema",
        "PriorityLevelConfiguration",
        "CSIDriver",
        "IngressClass",
        "ValidatingWebhookConfiguration",
        "MutatingWebhookConfiguration",
        "ValidatingAdmissionPolicy",
        "MutatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "MutatingAdmissionPolicyBinding",
    )
)


class ResourceKey(NamedTuple):
    """Where objects are kept: all versions of a resource share one place."""

    group: str
    plural: str


# Resources that are another view of what is kept elsewhere.
_KEPT_AS: Final = {ResourceKey("events.k8s.io", "events"): ResourceKey("", "events")}


class Subresource(NamedTuple):
    """One subresource; an empty kind means the kind of its resource."""

    name: str
    kind: str
    group_version: str
    verbs: tuple[str, ...]


_SUBRESOURCES: Final[Mapping[str, Subresource]] = {
    "status": Subresource("status", "", "", STATUS_VERBS),
    "scale": Subresource("scale", "Scale", "autoscaling/v1", STATUS_VERBS),
    "eviction": Subresource("eviction", "Eviction", "policy/v1", ("create",)),
    "log": Subresource("log", "", "", ("get",)),
    "finalize": Subresource("finalize", "", "", ("update",)),
    "binding": Subresource("binding", "Binding", "", ("create",)),
    "ephemeralcontainers": Subresource("ephemeralcontainers", "", "", STATUS_VERBS),
    "resize": Subresource("resize", "", "", STATUS_VERBS),
    "approval": Subresource("approval", "", "", STATUS_VERBS),
    "token": Subresource("token", "TokenRequest", "authentication.k8s.io/v1", ("create",)),
    "attach": Subresource("attach", "PodAttachOptions", "", ("create", "get")),
    "exec": Subresource("exec", "PodExecOptions", "", ("create", "get")),
    "portforward": Subresource("portforward", "PodPortForwardOptions", "", ("create", "get")),
    # The kind of a proxy is named after the kind that it leads to.
    "proxy": Subresource("proxy", "{}ProxyOptions", "", ("create", "delete", "get", "patch", "update")),
}


class Column(NamedTuple):
    """An additional printer column of a custom resource."""

    name: str
    type: str
    path: str
    priority: int = 0
    format: str = ""


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource in one version."""

    group: str
    version: str
    kind: str
    plural: str
    singular: str
    namespaced: bool
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[Subresource, ...] = ()
    verbs: tuple[str, ...] = ALL_VERBS
    has_generation: bool = False
    list_kind: str = ""
    # The group version whose types an older version of a built-in group has.
    typed_as: str = ""
    # Of custom resources only: their definition's columns, schema and scale paths.
    columns: tuple[Column, ...] | None = None
    openapi_schema: Mapping[str, Any] | None = field(default=None, compare=False, repr=False)
    scale_paths: Mapping[str, str] | None = field(default=None, compare=False, repr=False)

    @property
    def key(self) -> ResourceKey:
        key = ResourceKey(self.group, self.plural)
        return _KEPT_AS.get(key, key)

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def types(self) -> str:
        """The group version under which the types of a built-in resource are known."""
        return self.typed_as or self.api_version

    @property
    def qualified(self) -> str:
        """As messages name it: `deployments.apps`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def qualified_kind(self) -> str:
        """As messages name it: `Deployment.apps`."""
        return f"{self.kind}.{self.group}" if self.group else self.kind

    @property
    def is_custom(self) -> bool:
        return self.columns is not None

    def subresource(self, name: str) -> Subresource | None:
        return next((sub for sub in self.subresources if sub.name == name), None)


def _parsed() -> Iterator[Resource]:
    for line in _TABLE.strip().splitlines():
        group_version, kind, plural, scope, short, categories, subresources, verbs = line.split()
        group, _, version = group_version.rpartition("/")
        yield Resource(
            group=group,
            version=version,
            kind=kind,
            plural=plural,
            singular="endpoints" if kind == "Endpoints" else kind.lower(),
            namespaced=scope == "namespaced",
            short_names=() if short == "-" else tuple(short.split(",")),
            categories=() if categories == "-" else tuple(categories.split(",")),
            subresources=()
            if subresources == "-"
            else tuple(_subresource(sub, kind) for sub in subresources.split(",")),
            verbs=_verbs(verbs),
            has_generation=kind in _WITH_GENERATION,
            list_kind=f"{kind}List",
        )


def _subresource(name: str, kind: str) -> Subresource:
    known = _SUBRESOURCES[name]
    return known._replace(kind=known.kind.format(kind))


def _verbs(word: str) -> tuple[str, ...]:
    if word == "-":
        return ALL_VERBS
    if word.startswith("-"):
        return tuple(verb for verb in ALL_VERBS if verb != word[1:])
    return tuple(word.split(","))


BUILT_IN: Final[tuple[Resource, ...]] = tuple(_parsed())


@lru_cache
def built_ins(minor: int) -> tuple[Resource, ...]:
    """What Kubernetes 1.*minor* serves by itself, the preferred version of each resource first."""
    present = [r for r in BUILT_IN if is_served(r.api_version, r.plural, minor)]
    return (*present, *(resource for resource in _older_versions() if is_served(resource.api_version, "", minor)))


def _older_versions() -> Iterator[Resource]:
    for era in ERAS:
        if era.typed_as:
            version = era.group_version.rpartition("/")[2]
            for resource in BUILT_IN:
                if resource.api_version == era.typed_as:
                    yield replace(resource, version=version, typed_as=era.typed_as)


@lru_cache
def _by_path(minor: int) -> dict[tuple[str, str, str], Resource]:
    return {(r.group, r.version, r.plural): r for r in built_ins(minor)}


def built_in(group: str, plural: str) -> Resource:
    """The resource in its preferred version; for the code of controllers, which know that it exists."""
    return next(r for r in BUILT_IN if r.group == group and r.plural == plural)


class Served:
    """The resources of one cluster: the built-in ones and those of its custom resource definitions."""

    def __init__(self, kubernetes_version: str = DEFAULT_VERSION) -> None:
        self._minor = minor_of(kubernetes_version)
        self._custom: dict[str, tuple[Resource, ...]] = {}
        self._custom_by_path: dict[tuple[str, str, str], Resource] = {}
        self.revision = 0  # counts changes, so that discovery documents can be kept until it moves

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        path = (group, version, plural)
        return _by_path(self._minor).get(path) or self._custom_by_path.get(path)

    def become(self, kubernetes_version: str) -> None:
        """Serve what another version of Kubernetes does."""
        self._minor = minor_of(kubernetes_version)
        self.revision += 1

    def storage_of(self, key: ResourceKey) -> Resource | None:
        """Any version of the resource kept under *key*, the preferred one first."""
        return next((r for r in self if r.key == key), None)

    def __iter__(self) -> Iterator[Resource]:
        yield from built_ins(self._minor)
        for resources in self._custom.values():
            yield from resources

    def groups(self) -> dict[str, dict[str, list[Resource]]]:
        """Group to version to resources, in the order discovery shows them."""
        groups: dict[str, dict[str, list[Resource]]] = {}
        for resource in self:
            groups.setdefault(resource.group, {}).setdefault(resource.version, []).append(resource)
        return groups

    def has_group(self, group: str) -> bool:
        return any(r.group == group for r in self)

    def define(self, definition: str, resources: Sequence[Resource]) -> None:
        """Serve the *resources* of the custom resource definition of that name, instead of what it had before."""
        if self._custom.get(definition) == tuple(resources) and all(
            new.openapi_schema == old.openapi_schema
            for new, old in zip(resources, self._custom[definition], strict=True)
        ):
            return
        self._custom[definition] = tuple(resources)
        self._changed()

    def withdraw(self, definition: str) -> None:
        if self._custom.pop(definition, None) is not None:
            self._changed()

    def _changed(self) -> None:
        self._custom_by_path = {(r.group, r.version, r.plural): r for rs in self._custom.values() for r in rs}
        self.revision += 1
