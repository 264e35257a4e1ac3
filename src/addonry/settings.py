"""One frozen Settings, read once at start: from the environment and the command line, the latter first.

To add a setting: a field here with its meaning, its variable in VARIABLES, a row in ``docs/reference/settings.md``
(a test compares).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from addonry.model.errors import InvalidParameter


@dataclass(frozen=True, slots=True)
class Settings:
    """How this Addonry works."""

    data_directory: Path
    """Database, keys, cached charts. One process at a time works on it, unless the database is elsewhere."""
    database: str | None = None
    """A PostgreSQL database (its URL) in place of the SQLite file; any number of processes may share it."""
    listen: str = "127.0.0.1:8080"
    """Host and port; port 0 takes a free one."""
    tls_cert: Path | None = None
    """A certificate chain (PEM) to serve https with."""
    tls_key: Path | None = None
    """Its private key."""
    behind_proxy: bool = False
    """A proxy in front speaks TLS, so plain http may be served beyond loopback."""
    tls_self_signed: bool = False
    """Serve https with a certificate made on the spot; its authority is written to DATA/tls/ca.pem."""
    trusted_proxies: str | None = None
    """Addresses and networks, separated by commas, whose X-Forwarded-For and X-Forwarded-Proto are believed."""
    legacy_signatures: bool = True
    """Signatures of the legacy style (the aliyun CLI, older SDKs) are taken; without them only ACS3-HMAC-SHA256 is."""
    legacy_uncovered_bodies: bool = True
    """Legacy requests without Content-MD5 are taken too, although nobody signed their body."""
    requests_per_second: float = 200.0
    """How many requests one access key may make in the long run; twice as many in a burst."""
    audit_days: float = 90.0
    """How long records of calls are kept."""
    region: str = "local"
    """The region id of clusters registered without one."""
    catalog_directory: Path | None = None
    """A directory of the user's own component files, over the packaged ones."""
    chart_mirror: str | None = None
    """One chart repository in place of all that the catalog names."""
    chart_mirrors: str | None = None
    """Pairs PREFIX=ADDRESS, separated by commas: what to ask in place of chart addresses that begin so."""
    chart_credentials: Path | None = None
    """A file that says how to get into hosts of charts: ours, or the one that docker and helm log in with."""
    offline: bool = False
    """Chart repositories are never asked: what was imported or read before is all there is."""
    helm_binary: str | None = None
    """A helm command to use instead of the packaged Helm SDK."""
    secret_key: str | None = None
    """The key that encrypts secrets at rest, in place of DATA/secret.key."""
    scan_seconds: float = 60.0
    """How often each cluster is looked at."""
    catalog_seconds: float = 900.0
    """How often chart repositories are read."""
    request_seconds: float = 10.0
    """The longest wait for one answer of a cluster."""
    helm_seconds: float = 120.0
    """The hard deadline of one Helm operation."""
    rollout_seconds: float = 600.0
    """The longest a rollout may take before it counts as failed."""
    stall_seconds: float = 20.0
    """How long a stalled rollout (an image that cannot be pulled, a crash loop) may last before it counts as failed."""
    concurrency: int = 20
    """How many tasks run at once."""
    beat_seconds: float = 5.0
    """PostgreSQL: how often a worker gives a sign of life, and looks for those that give none."""
    worker_seconds: float = 30.0
    """PostgreSQL: a worker silent for so long is taken for dead, and its tasks go on elsewhere."""

    def __repr__(self) -> str:
        return f"Settings(data_directory={self.data_directory!s}, listen={self.listen})"

    @property
    def database_url(self) -> str:
        """Where the rows are."""
        return self.database or f"sqlite:///{self.data_directory / 'addonry.sqlite'}"

    @property
    def is_alone(self) -> bool:
        """Whether no other process may work on the same database: SQLite."""
        return self.database_url.startswith("sqlite")

    @property
    def root_key_file(self) -> Path:
        """The first access key, for local commands."""
        return self.data_directory / "root.key"

    @property
    def tls_directory(self) -> Path:
        """Where a certificate made on the spot is; ``ca.pem`` is what clients are to trust."""
        return self.data_directory / "tls"

    @property
    def service_file(self) -> Path:
        """The address of the service that runs on the data directory."""
        return self.data_directory / "service.json"


VARIABLES: Final[Mapping[str, str]] = {
    "data_directory": "ADDONRY_DATA",
    "database": "ADDONRY_DATABASE_URL",
    "listen": "ADDONRY_LISTEN",
    "tls_cert": "ADDONRY_TLS_CERT",
    "tls_key": "ADDONRY_TLS_KEY",
    "behind_proxy": "ADDONRY_BEHIND_PROXY",
    "tls_self_signed": "ADDONRY_TLS_SELF_SIGNED",
    "trusted_proxies": "ADDONRY_TRUSTED_PROXIES",
    "legacy_signatures": "ADDONRY_LEGACY_SIGNATURES",
    "legacy_uncovered_bodies": "ADDONRY_LEGACY_UNCOVERED_BODIES",
    "requests_per_second": "ADDONRY_REQUESTS_PER_SECOND",
    "audit_days": "ADDONRY_AUDIT_DAYS",
    "region": "ADDONRY_REGION",
    "catalog_directory": "ADDONRY_CATALOG",
    "chart_mirror": "ADDONRY_CHART_MIRROR",
    "chart_mirrors": "ADDONRY_CHART_MIRRORS",
    "chart_credentials": "ADDONRY_CHART_CREDENTIALS",
    "offline": "ADDONRY_OFFLINE",
    "helm_binary": "ADDONRY_HELM",
    "secret_key": "ADDONRY_SECRET_KEY",
    "scan_seconds": "ADDONRY_SCAN_SECONDS",
    "catalog_seconds": "ADDONRY_CATALOG_SECONDS",
    "request_seconds": "ADDONRY_REQUEST_SECONDS",
    "helm_seconds": "ADDONRY_HELM_SECONDS",
    "rollout_seconds": "ADDONRY_ROLLOUT_SECONDS",
    "stall_seconds": "ADDONRY_STALL_SECONDS",
    "concurrency": "ADDONRY_CONCURRENCY",
    "beat_seconds": "ADDONRY_BEAT_SECONDS",
    "worker_seconds": "ADDONRY_WORKER_SECONDS",
}
"""The environment variable of each setting."""

_WORDS: Final = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}
_PATHS: Final = frozenset({"data_directory", "catalog_directory", "chart_credentials", "tls_cert", "tls_key"})


def load_settings(environ: Mapping[str, str], **given: Any) -> Settings:
    """The settings from *environ*, with those of *given* that are not None in their place.

    Raises InvalidParameter naming the variable for a value that cannot be read.
    """
    defaults = Settings(data_directory=default_data_directory(environ))
    read = {name: _read(defaults, name, variable, environ) for name, variable in VARIABLES.items()}
    chosen = {**read, **{name: value for name, value in given.items() if value is not None}}
    settings = replace(defaults, **{name: value for name, value in chosen.items() if value is not None})
    # Absolute, because Helm's child processes work in a directory of their own.
    paths = {name: path.absolute() for name in _PATHS if (path := getattr(settings, name)) is not None}
    helm = settings.helm_binary
    return replace(settings, **paths, helm_binary=str(Path(helm).absolute()) if helm and "/" in helm else helm)


def default_data_directory(environ: Mapping[str, str]) -> Path:
    """``$XDG_DATA_HOME/addonry``, else ``~/.local/share/addonry`` (XDG Base Directory Specification)."""
    base = environ.get("XDG_DATA_HOME") or str(Path(environ.get("HOME") or "~").expanduser() / ".local" / "share")
    return Path(base) / "addonry"


def _read(defaults: Settings, name: str, variable: str, environ: Mapping[str, str]) -> Any:
    text = environ.get(variable, "").strip()
    if not text:
        return None
    if name in _PATHS:
        return Path(text).expanduser()
    default = getattr(defaults, name)
    if isinstance(default, bool):
        if text.lower() not in _WORDS:
            raise InvalidParameter(variable, "must be true or false", remedy=f"Correct or unset {variable}.")
        return _WORDS[text.lower()]
    if isinstance(default, int | float):
        try:
            number = type(default)(text)
        except ValueError:
            number = -1
        # Written so that nan is refused as well.
        if not 0 < number < float("inf"):
            raise InvalidParameter(variable, "must be a positive number", remedy=f"Correct or unset {variable}.")
        return number
    return text
