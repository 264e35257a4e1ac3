"""Access keys: who may call."""

from addonry.lifecycle.world import World
from addonry.model.errors import InvalidParameter
from addonry.model.keys import AccessKey, Credential

NAME_LIMIT = 64


async def create(world: World, name: str, *, is_root: bool = False) -> Credential:
    """A new key under *name*; its secret leaves this function and is not shown again.

    Raises InvalidParameter for an empty or overlong name.
    """
    name = name.strip()
    if not name or len(name) > NAME_LIMIT or not name.isprintable():
        raise InvalidParameter("name", f"must have 1 to {NAME_LIMIT} printable characters")
    key, secret = world.ids.key()
    await world.store.add_key(AccessKey(key, name, world.now(), is_root=is_root), secret)
    return Credential(key, secret)
