"""A file of waivers, for a scan that asks no service."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from addonry.cli.errors import Failed

if TYPE_CHECKING:
    from addonry.model.readiness import Waiver

LARGEST: Final = 1024 * 1024


def read_waiver_file(path: str) -> "tuple[Waiver, ...]":
    """The waivers in it. Raises Failed for a file that cannot be read, InvalidParameter for what is no waiver."""
    import yaml

    from addonry.lifecycle.waivers import read_waivers

    file = Path(path).expanduser()
    try:
        with file.open("rb") as opened:
            text = opened.read(LARGEST + 1)
        if len(text) > LARGEST:
            raise Failed(f"{file} is larger than any list of waivers.", remedy="Check --waivers.")
        content = yaml.safe_load(text)
    except OSError as error:
        raise Failed(f"{file} cannot be read: {error.strerror}.", remedy="Check --waivers.") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise Failed(f"{file} is no YAML.", remedy="Write a list of check, reason, owner and until.") from error
    return read_waivers(content, now=datetime.now(UTC))
