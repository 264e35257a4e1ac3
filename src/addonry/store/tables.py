"""The tables. Their names begin with ``addonry_``: on SQLite the engine's own tables live in the same file.

A column that could hold a secret ends in ``sealed`` and holds what ``secrets.Cipher`` made of it. To change a table:
change it here, add a migration in ``migrations/versions`` and name it in ``migrations.HEAD``; a test compares the two.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    false,
    text,
)

from addonry.model.tasks import LIVE, Edits, Pace

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class Moment(TypeDecorator[datetime]):
    """A moment as microseconds since 1970: exact, ordered and zone-aware on both databases."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:  # noqa: ARG002 - SQLAlchemy's signature
        """To the database; a moment without a zone is a mistake of the caller."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment needs a zone")
        return (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """From the database, in UTC."""
        return None if value is None else _EPOCH + value * _MICROSECOND


Number: Final = BigInteger().with_variant(Integer, "sqlite")
"""A key the database counts up; SQLite does so for INTEGER only (https://www.sqlite.org/autoinc.html)."""

metadata: Final = MetaData()

LIVE_CHANGE: Final = text("status IN ({})".format(", ".join(f"'{status}'" for status in sorted(LIVE))))

meta: Final = Table(
    "addonry_meta",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
)

cluster: Final = Table(
    "addonry_cluster",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("region", Text, nullable=False),
    Column("server", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("kubernetes", Text, nullable=False),
    Column("nodes", Integer, nullable=False),
    Column("reach", String(16), nullable=False),
    Column("trouble", Text, nullable=False),
    Column("scanned_at", Moment),
    Column("generation", BigInteger, nullable=False),
    Column("surroundings", Text, nullable=False),
    Column("kubeconfig_sealed", LargeBinary, nullable=False),
)

component: Final = Table(
    "addonry_component",
    metadata,
    Column("cluster", String(64), ForeignKey(cluster.c.id, ondelete="CASCADE"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("version", Text, nullable=False),
    Column("in_catalog", Boolean, nullable=False),
    Column("observed_at", Moment),
    Column("found", Text, nullable=False),
    Column("values_sealed", LargeBinary),
    # One query over the whole fleet: where does this version of this component run?
    Index("addonry_component_by_version", "name", "version"),
)

task: Final = Table(
    "addonry_task",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("cluster", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    Column("current", Integer, nullable=False),
    Column("run", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("crashes", Integer, nullable=False),
    Column("wish", String(16)),
    Column("canceled", Boolean, nullable=False, server_default=false()),
    Column("claim", String(64)),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("finished_at", Moment),
    Column("requested_by", Text, nullable=False),
    Index("addonry_task_by_cluster", "cluster", "number"),
    Index("addonry_task_live", "number", sqlite_where=LIVE_CHANGE, postgresql_where=LIVE_CHANGE),
    sqlite_autoincrement=True,
)

change: Final = Table(
    "addonry_change",
    metadata,
    Column("task", Number, ForeignKey(task.c.number, ondelete="CASCADE"), primary_key=True),
    Column("place", Integer, primary_key=True),
    Column("cluster", String(64), nullable=False),
    Column("component", Text, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("placement", Text, nullable=False),
    Column("from_version", Text, nullable=False),
    Column("to_version", Text, nullable=False),
    Column("values_sealed", LargeBinary),
    Column("plan", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Column("status", String(16), nullable=False),
    Column("edits", String(16), nullable=False, server_default=Edits.OVERWRITE),
    Column("pace", String(16), nullable=False, server_default=Pace.AT_ONCE),
    Column("unsafe_crds", Boolean, nullable=False, server_default=false()),
    Column("snapshot", Text),
    Column("remarks", Text, nullable=False, server_default="[]"),
    Column("trouble", Text),
    Column("percent", Integer, nullable=False),
    Column("note", Text, nullable=False),
    Column("stall", Text, nullable=False, server_default=""),
    Column("started_at", Moment),
    Column("finished_at", Moment),
    Index("addonry_change_by_component", "cluster", "component", "task"),
    # One live change per component of a cluster, whatever else goes wrong.
    Index(
        "addonry_change_live",
        "cluster",
        "component",
        unique=True,
        sqlite_where=LIVE_CHANGE,
        postgresql_where=LIVE_CHANGE,
    ),
)

step: Final = Table(
    "addonry_step",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("task", Number, ForeignKey(task.c.number, ondelete="CASCADE"), nullable=False),
    Column("component", Text, nullable=False),
    Column("step", String(32), nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("finished_at", Moment),
    Column("ok", Boolean),
    Column("message", Text, nullable=False),
    Index("addonry_step_by_task", "task", "number"),
    sqlite_autoincrement=True,
)

event: Final = Table(
    "addonry_event",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("cluster", String(64), nullable=False),
    Column("task", String(64)),
    Column("component", Text),
    Column("kind", String(32), nullable=False),
    Column("reason", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("level", String(16), nullable=False),
    Column("at", Moment, nullable=False),
    Index("addonry_event_by_cluster", "cluster", "number"),
    Index("addonry_event_by_task", "task", "number"),
    sqlite_autoincrement=True,
)

worker: Final = Table(
    "addonry_worker",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("host", Text, nullable=False),
    # By the clock of the database, the only one that all workers share.
    Column("started_at", Moment, nullable=False),
    Column("beat_at", Moment, nullable=False),
)

access_key: Final = Table(
    "addonry_access_key",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("id", String(128), nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("is_root", Boolean, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("secret_sealed", LargeBinary, nullable=False),
    # Empty: the account's own. Written out, because a user that goes takes the keys along in one transaction.
    Column("user_name", Text, nullable=False, server_default=""),
    # Of a temporary key.
    Column("token_sealed", LargeBinary),
    Column("expires_at", Moment),
    Column("session_policy", Text),
    Index("addonry_access_key_by_user", "user_name"),
    sqlite_autoincrement=True,
)

user: Final = Table(
    "addonry_user",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("created_at", Moment, nullable=False),
)

policy: Final = Table(
    "addonry_policy",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("document", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("updated_at", Moment, nullable=False),
)

# Of system policies too, which have no row of their own.
attachment: Final = Table(
    "addonry_attachment",
    metadata,
    Column("user_name", String(128), ForeignKey(user.c.name, ondelete="CASCADE"), primary_key=True),
    Column("policy", String(128), primary_key=True),
)

# Where several processes answer; one alone remembers in memory.
nonce: Final = Table(
    "addonry_nonce",
    metadata,
    Column("mark", LargeBinary(16), primary_key=True),
    Column("at", Moment, nullable=False),
    Index("addonry_nonce_by_time", "at"),
)

audit: Final = Table(
    "addonry_audit",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("at", Moment, nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("operation", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("cluster", Text, nullable=False),
    Column("access_key", Text, nullable=False),
    Column("user_name", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("status", Integer, nullable=False),
    Column("code", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("milliseconds", Integer, nullable=False),
    Index("addonry_audit_by_time", "at"),
    sqlite_autoincrement=True,
)

profile: Final = Table(
    "addonry_cluster_profile",
    metadata,
    Column("cluster", String(64), ForeignKey(cluster.c.id, ondelete="CASCADE"), primary_key=True),
    Column("profile", Text, nullable=False),
)

cluster_check: Final = Table(
    "addonry_cluster_check",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("id", String(192), nullable=False, unique=True),
    Column("cluster", String(64), ForeignKey(cluster.c.id, ondelete="CASCADE"), nullable=False),
    Column("type", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Index("addonry_cluster_check_by_cluster", "cluster", "number"),
    sqlite_autoincrement=True,
)

waiver: Final = Table(
    "addonry_waiver",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("cluster", String(64), ForeignKey(cluster.c.id, ondelete="CASCADE"), nullable=False),
    Column("check_id", String(64), nullable=False),
    Column("component", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("made_at", Moment, nullable=False),
    Column("until", Moment, nullable=False),
    Index("addonry_waiver_by_cluster", "cluster", "number"),
    sqlite_autoincrement=True,
)

chart_index: Final = Table(
    "addonry_chart_index",
    metadata,
    Column("repository", Text, primary_key=True),
    Column("body", LargeBinary, nullable=False),
    Column("etag", Text, nullable=False),
    Column("last_modified", Text, nullable=False),
    Column("fetched_at", Moment, nullable=False),
)

chart_host: Final = Table(
    "addonry_chart_host",
    metadata,
    Column("host", String(255), primary_key=True),
    Column("credential_sealed", LargeBinary, nullable=False),
)
