"""Tags of clusters (ack-api 06, section 9)."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final, TypedDict

import msgspec

from addonry.gateway.operation import Call, Kind, Level, Parameter, Registry
from addonry.gateway.operations.envelope import Nothing, Tag
from addonry.model.clusters import Profile
from addonry.model.errors import InvalidParameter
from addonry.model.ids import ClusterId

operations = Registry()

TYPE: Final = "CLUSTER"
"""The only type of resource that there is."""
LARGEST_KEY: Final = 64
LARGEST_VALUE: Final = 128
TAGS_AT_ONCE: Final = 20
RESOURCES_AT_ONCE: Final = 50
LISTED_AT_ONCE: Final = 50
_RESERVED: Final = ("aliyun", "acs:")
_LINKS: Final = ("http://", "https://")


class NewTags(msgspec.Struct):
    """The body of TagResources."""

    resource_ids: list[str]
    tags: list[Tag]
    resource_type: str = TYPE
    region_id: str = ""


class TagOfResource(TypedDict):
    """One tag of one cluster."""

    resource_id: str
    resource_type: str
    tag_key: str
    tag_value: str


class TagList(TypedDict):
    """A list inside an object, as published."""

    tag_resource: list[TagOfResource]


class Tags(TypedDict):
    """A part of the tags."""

    next_token: str
    request_id: str
    tag_resources: TagList


class Done(TypedDict):
    """The answer of what changes tags."""

    RequestId: str


_RESOURCES = (
    Parameter("region_id", about="The region; clusters are found in whichever they are."),
    Parameter("resource_type", about="CLUSTER."),
    Parameter("resource_ids", Kind.NAMES, "The clusters' ids."),
)


@operations.add(
    "ListTagResources",
    "GET",
    "/tags",
    Level.LIST,
    Tags,
    query=(
        *_RESOURCES,
        Parameter("tags", Kind.OBJECTS, "Only clusters that have all of these: {key, value}; no value is any value."),
        Parameter("next_token", about="Where to go on, from the answer before."),
    ),
)
async def list_tag_resources(call: Call) -> Tags:
    """The tags of clusters: of those named, of those that have certain tags, or of all."""
    _check_type(call.text("resource_type"))
    ids, wanted = call.names("resource_ids"), call.objects("tags", Tag)
    profiles = await call.lifecycle.profiles()
    found: list[TagOfResource] = [
        {"resource_id": cluster, "resource_type": TYPE, "tag_key": key, "tag_value": value}
        for cluster, profile in sorted(profiles.items())
        if (not ids or cluster in ids) and _has(profile, wanted)
        for key, value in sorted(profile.tags.items())
    ]
    begin = call.number("next_token", 0)
    following = begin + LISTED_AT_ONCE
    return {
        "next_token": str(following) if following < len(found) else "",
        "request_id": call.request_id,
        "tag_resources": {"tag_resource": found[begin:following]},
    }


@operations.add(
    "TagResources",
    "PUT",
    "/tags",
    Level.UPDATE,
    Done,
    body=NewTags,
    tags=lambda call: read_tags(call.object(NewTags).tags),
)
async def tag_resources(call: Call) -> Done:
    """Give clusters tags; a key that a cluster has already gets the new value."""
    asked = call.object(NewTags)
    _check_type(asked.resource_type)
    tags = read_tags(asked.tags)
    if not tags:
        raise InvalidParameter("tags", "names none", remedy='Send [{"key": "env", "value": "test"}].')
    await _change(call, asked.resource_ids, lambda profile: replace(profile, tags={**profile.tags, **tags}))
    return {"RequestId": call.request_id}


@operations.add(
    "UntagResources",
    "DELETE",
    "/tags",
    Level.DELETE,
    Done,
    query=(
        *_RESOURCES,
        Parameter("tag_keys", Kind.NAMES, "The tags to take away."),
        Parameter("all", Kind.FLAG, "Take all away; counts only when tag_keys is empty."),
    ),
)
async def untag_resources(call: Call) -> Done:
    """Take tags away from clusters."""
    _check_type(call.text("resource_type"))
    keys, everything = set(call.names("tag_keys")), call.flag("all")
    if not keys and not everything:
        raise InvalidParameter("tag_keys", "names none", remedy='Send ["env"], or all=true.')

    def without(profile: Profile) -> Profile:
        return replace(profile, tags={k: v for k, v in profile.tags.items() if keys and k not in keys})

    await _change(call, call.names("resource_ids"), without)
    return {"RequestId": call.request_id}


@operations.add(
    "ModifyClusterTags",
    "POST",
    "/clusters/{ClusterId}/tags",
    Level.UPDATE,
    Nothing,
    also=("cs:UpdateClusterTags",),
    body=list[Tag],
    tags=lambda call: read_tags(call.items(Tag)),
)
async def modify_cluster_tags(call: Call) -> Nothing:
    """Give a cluster exactly these tags."""
    tags = read_tags(call.items(Tag))
    await call.lifecycle.modify_cluster(call.cluster(), lambda profile: replace(profile, tags=tags), by=call.key)
    return {}


async def _change(call: Call, ids: Iterable[str], change: Callable[[Profile], Profile]) -> None:
    clusters = [ClusterId(each) for each in dict.fromkeys(ids)]
    if not 0 < len(clusters) <= RESOURCES_AT_ONCE:
        raise InvalidParameter("resource_ids", f"must name 1 to {RESOURCES_AT_ONCE} clusters")
    # All of them are there before the first is changed.
    for cluster in clusters:
        await call.lifecycle.cluster(cluster)
    for cluster in clusters:
        await call.lifecycle.modify_cluster(cluster, change, by=call.key)


def read_tags(tags: list[Tag]) -> dict[str, str]:
    """Tags as they are kept. Raises InvalidParameter."""
    if len(tags) > TAGS_AT_ONCE:
        raise InvalidParameter("tags", f"are more than {TAGS_AT_ONCE} at once")
    for tag in tags:
        if not 0 < len(tag.key) <= LARGEST_KEY or len(tag.value) > LARGEST_VALUE:
            raise InvalidParameter(
                "tags", f"has a key without or over {LARGEST_KEY} characters, or a value over {LARGEST_VALUE}"
            )
        if tag.key.startswith(_RESERVED) or any(link in tag.key + tag.value for link in _LINKS):
            raise InvalidParameter("tags", "must not begin with aliyun or acs:, nor hold http:// or https://")
    return {tag.key: tag.value for tag in tags}


def _has(profile: Profile, wanted: list[Tag]) -> bool:
    return all(tag.key in profile.tags and tag.value in {"", profile.tags[tag.key]} for tag in wanted)


def _check_type(given: str) -> None:
    if given not in {"", TYPE}:
        raise InvalidParameter("resource_type", f"must be {TYPE}")
