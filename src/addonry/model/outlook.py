"""What lies ahead of a component, beside the next change: the newest there is, its end of life, and the way back."""

from dataclasses import dataclass

from addonry.model.catalog import EndOfLife
from addonry.model.ids import Version


@dataclass(frozen=True, slots=True)
class Outlook:
    """Told beside a readiness; decides nothing."""

    newest: Version | None = None
    """The newest version on offer, whether or not it fits; None when none is known."""
    end: EndOfLife | None = None
    """When nobody mends the installed version any more; None when no day is known."""
    has_ended: bool = False
    """Whether that day has come."""
    can_roll_back: bool | None = None
    """Whether a change that fails could be taken back; None when nothing is installed or it cannot be seen."""
