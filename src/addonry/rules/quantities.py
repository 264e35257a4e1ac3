"""Amounts of resources, as Kubernetes writes them: ``250m`` of a core, ``64Mi`` of memory.

https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from math import ceil
from typing import Final

_SUFFIXES: Final[Mapping[str, Decimal]] = {
    **{suffix: Decimal(1024) ** power for power, suffix in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 1)},
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate(("k", "M", "G", "T", "P", "E"), 1)},
    "m": Decimal(1) / 1000,
    "u": Decimal(1) / 10**6,
    "n": Decimal(1) / 10**9,
}
_LONGEST: Final = 40


def thousandths(quantity: str) -> int:
    """A number of cores in thousandths, rounded up; what is no quantity is none."""
    return ceil(_amount(quantity) * 1000)


def whole(quantity: str) -> int:
    """A number of bytes or pods, rounded up; what is no quantity is none."""
    return ceil(_amount(quantity))


@lru_cache(maxsize=4096)
def _amount(quantity: str) -> Decimal:
    text = quantity.strip()[:_LONGEST]
    suffix = next((each for each in _SUFFIXES if text.endswith(each)), "")
    factor = _SUFFIXES.get(suffix, Decimal(1))
    try:
        amount = Decimal(text.removesuffix(suffix))
    except InvalidOperation:
        return Decimal(0)
    # A quantity has no exponent beyond what 64 bits hold; a forged one must not become a number of a million digits.
    return amount * factor if amount.is_finite() and abs(amount.adjusted()) < _LONGEST else Decimal(0)
