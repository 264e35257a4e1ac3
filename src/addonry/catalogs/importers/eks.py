"""What ``aws eks describe-addon-versions`` prints.

https://docs.aws.amazon.com/eks/latest/APIReference/API_DescribeAddonVersions.html. Its versions are those of the
application with a build of EKS behind; a list says where EKS offers a version, so it is taken for tested.
"""

from typing import Any, Final

import msgspec

from addonry.catalogs.documents import Unreadable
from addonry.catalogs.importers import Count, Finding
from addonry.catalogs.importers.ranges import is_version, minor_in, rows_of

EVIDENCE: Final = "https://docs.aws.amazon.com/eks/latest/APIReference/API_DescribeAddonVersions.html"


def read(text: bytes, file: str) -> list[Finding]:  # noqa: ARG001 - every form's signature
    """One finding for each add-on. Raises Unreadable."""
    try:
        said = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Unreadable("no JSON") from error
    listed = said.get("addons") if isinstance(said, dict) else None
    if not isinstance(listed, list):
        raise Unreadable("without addons; save the output of: aws eks describe-addon-versions")
    return [finding for addon in listed if (finding := _finding(addon)) is not None]


def _finding(addon: Any) -> Finding | None:
    match addon:
        case {"addonName": str(name), "addonVersions": list(versions)} if name:
            pass
        case _:
            return None
    found: dict[str, set[int]] = {}
    passed_over = []
    for each in versions:
        match each:
            case {"addonVersion": str(version), "compatibilities": list(compatibilities)} if is_version(version):
                found.setdefault(version, set()).update(_minors(compatibilities))
            case {"addonVersion": str(version)}:
                passed_over.append(version)
    notes = (f"{name}: passed over {', '.join(passed_over[:5])}, which are no versions.",) if passed_over else ()
    return Finding(name, rows_of(found), Count.APP, EVIDENCE, notes=notes)


def _minors(compatibilities: list[Any]) -> set[int]:
    texts = [each.get("clusterVersion") for each in compatibilities if isinstance(each, dict)]
    return {minor for text in texts if isinstance(text, str) and (minor := minor_in(text)) is not None}
