"""Everything that can go wrong, as types.

    AddonryError
      BadRequest                what was asked makes no sense: nothing was done
        InvalidParameter          a parameter or body member is malformed
        KubeconfigRejected        the kubeconfig is none, or would run commands or read files here
        NameTaken                 another thing of the kind has this name
          ClusterNameTaken
      NotThere                  what was asked about does not exist
        ClusterNotFound
        ComponentNotFound         neither installed nor in the catalog
        VersionNotFound           the component exists, that version is not on offer
        TaskNotFound
      NotNow                    the state of things forbids it
        ComponentBusy             a task is running on the component
        AlreadyInstalled
        ClusterProtected          its deletion protection is on
        UpgradeNotPossible        readiness checks block it; carries the blockers
      ClusterTrouble            the cluster's side
        ClusterUnreachable        no answer in time; may heal by itself
        ClusterRefused            it answered, and said no: credentials or permissions
        ClusterRejected           it answered that the objects are wrong
        FieldConflict             somebody else owns fields the change would write
      ChartTrouble              the chart's side
        CatalogUnavailable        the repository is down or serves rubbish
        ChartRejected             the archive is unsafe, damaged or not what was announced
        ValuesInvalid             the values do not fit the chart's schema
        RenderFailed              the templates do not render
      HelmFailed                Helm said no, was stopped or died
      IllegalMove               an edge the table of task moves does not have
      DataDirectoryBusy         another process works on it
      StoreUnavailable          the database cannot be read or written: disk full, read-only, gone

An error carries facts as attributes, a sentence for a person and a *remedy*: what to do next. It knows nothing
of HTTP; ``gateway/errors.py`` has one row for each. None of them ever carries a kubeconfig, a token or values.
"""

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from addonry.model.readiness import Blocker


def sentence(text: str) -> str:
    """*text* with a full stop, so that what follows is a sentence of its own."""
    return text if text.rstrip().endswith((".", "!", "?", ":", ")")) else f"{text.rstrip()}."


class AddonryError(Exception):
    """The root of the tree; raised only through its children."""

    default_remedy: ClassVar[str] = ""

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = self.default_remedy if remedy is None else remedy


class BadRequest(AddonryError):
    """What was asked makes no sense; nothing was done."""


class InvalidParameter(BadRequest):
    """A parameter or a member of the body is malformed."""

    def __init__(self, parameter: str, message: str, *, remedy: str | None = None) -> None:
        super().__init__(f"{parameter}: {message}", remedy=remedy)
        self.parameter = parameter


class KubeconfigRejected(BadRequest):
    """The kubeconfig is none, or would run commands or read files on this machine."""

    default_remedy = (
        "Upload a self-contained kubeconfig: inline certificate data or a token, no exec, auth-provider or file paths "
        "(kubectl config view --raw --flatten --minify prints one)."
    )


class NameTaken(BadRequest):
    """Another thing of the kind has this name."""

    default_remedy = "Choose another name."


class ClusterNameTaken(NameTaken):
    """Another cluster has this name."""

    default_remedy = "Choose another name, or remove the other cluster first."


class NotThere(AddonryError):
    """What was asked about does not exist."""


class ClusterNotFound(NotThere):
    """No such cluster."""

    default_remedy = "List the registered clusters with `addonry clusters list`."

    def __init__(self, cluster: str) -> None:
        super().__init__(f"There is no cluster {cluster!r}.")
        self.cluster = cluster


class ComponentNotFound(NotThere):
    """Neither installed nor in the catalog."""

    default_remedy = "List what can be had with `addonry catalog list`."

    def __init__(self, component: str, message: str | None = None) -> None:
        super().__init__(message or f"Component {component!r} is neither installed nor in the catalog.")
        self.component = component


class VersionNotFound(NotThere):
    """The component exists; that version is not on offer."""

    def __init__(self, component: str, version: str) -> None:
        super().__init__(
            f"Version {version!r} of {component} is not on offer.",
            remedy=f"List its versions with `addonry catalog show {component}`.",
        )
        self.component = component
        self.version = version


class TaskNotFound(NotThere):
    """No such task."""

    default_remedy = "List tasks with `addonry tasks list`."

    def __init__(self, task: str, message: str | None = None) -> None:
        super().__init__(message or f"There is no task {task!r}.")
        self.task = task


class NotNow(AddonryError):
    """The state of things forbids it."""


class ComponentBusy(NotNow):
    """A task is running on the component."""

    def __init__(self, component: str, task: str = "") -> None:
        of = f" ({task})" if task else ""
        super().__init__(
            f"Addon status not match: a task{of} is already running on {component}.",
            remedy="Wait until it has ended; `addonry tasks list` shows it.",
        )
        self.component = component
        self.task = task


class ClusterProtected(NotNow):
    """Its deletion protection is on."""

    default_remedy = "Switch it off first: ModifyCluster with deletion_protection false."


class AlreadyInstalled(NotNow):
    """The component is installed."""

    def __init__(self, component: str, version: str) -> None:
        super().__init__(
            f"Addon status not match: {component} is already installed in version {version}.",
            remedy=f"Use `addonry upgrade CLUSTER {component}` to change its version.",
        )
        self.component = component
        self.version = version


class UpgradeNotPossible(NotNow):
    """The readiness checks block the change."""

    def __init__(self, component: str, blockers: "tuple[Blocker, ...]") -> None:
        words = " ".join(blocker.message for blocker in blockers)
        super().__init__(words if component in words else f"{component}: {words}", remedy=blockers[0].remedy)
        self.component = component
        self.blockers = blockers


class ClusterTrouble(AddonryError):
    """The cluster's side."""


class ClusterUnreachable(ClusterTrouble):
    """No answer in time, or none at all; may heal by itself."""

    default_remedy = "Check that the API server runs and can be reached from here."


class ClusterRefused(ClusterTrouble):
    """It answered, and said no: credentials or permissions."""

    default_remedy = "Register the cluster again with credentials that are valid and allowed to do this."


class ClusterRejected(ClusterTrouble):
    """It answered that the objects are wrong."""


class FieldConflict(ClusterTrouble):
    """Somebody else owns fields that the change would write."""

    def __init__(self, conflicts: tuple[tuple[str, str], ...]) -> None:
        told = ", ".join(f"{field} ({manager})" for field, manager in conflicts)
        super().__init__(f"Fields are owned by other managers: {told}.")
        self.conflicts = conflicts


class ChartTrouble(AddonryError):
    """The chart's side."""


class CatalogUnavailable(ChartTrouble):
    """The chart repository is down or serves rubbish."""

    default_remedy = "Check the repository's address and that it serves index.yaml; what was known before is kept."


class ChartRejected(ChartTrouble):
    """The archive is unsafe, damaged, or not what the repository announced."""

    default_remedy = "Tell the repository's owner; choose another version meanwhile."


class ValuesInvalid(ChartTrouble):
    """The values do not fit the chart's schema."""

    def __init__(self, problems: tuple[str, ...], *, remedy: str | None = None) -> None:
        super().__init__(
            "The values do not fit the chart's schema: " + "; ".join(problems),
            remedy=remedy or "Correct these values (--set or --values) and try again.",
        )
        self.problems = problems


class RenderFailed(ChartTrouble):
    """The templates do not render."""


class HelmFailed(AddonryError):
    """Helm said no, was stopped at its deadline, or died."""


class IllegalMove(AddonryError):
    """An edge that the table of task moves does not have."""

    def __init__(self, task: str, status: str, move: str) -> None:
        super().__init__(f"Task {task} is {status}; it cannot {move}.")
        self.task = task
        self.status = status
        self.move = move


class DataDirectoryBusy(AddonryError):
    """Another process works on the data directory."""

    default_remedy = "Stop the other process, or give this one another directory with --data."


class StoreUnavailable(AddonryError):
    """The database cannot be read or written: the disk is full, the file read-only, the server gone."""

    default_remedy = "Check free space and permissions of the data directory, or that the database server runs."
