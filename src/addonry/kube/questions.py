"""What is asked of a cluster at one time: a few questions at once, each of which may be forbidden alone.

A list of the whole cluster that the credentials may not make is made of the kubeconfig's own namespace instead, which
takes one more request and no knowledge of what other namespaces there are. What was denied is noted.
"""

import asyncio
import builtins
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, Generic, TypeVar
from urllib.parse import quote

from addonry.kube.api import Api, Forbidden, Missing, TooLarge

T = TypeVar("T")

_AT_ONCE: Final = 4
_LARGE_A_PAGE: Final = "40"
"""How many to ask for at once where a usual page is more than is taken. Of Helm's records, one may have 1 MiB."""


@dataclass(frozen=True, slots=True)
class Listed(Generic[T]):
    """A list, as far as it was allowed."""

    items: list[T]
    is_whole: bool


class Questions:
    """One round of questions to one cluster."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._gate = asyncio.Semaphore(_AT_ONCE)
        self.denied: list[str] = []
        """What may not be asked of the whole cluster, by resource."""
        self.namespace = ""
        """Where such lists were allowed after all."""

    async def ask(self, what: str, question: Callable[[], Awaitable[T]], otherwise: T) -> T:
        """The answer to *question*, or *otherwise* where it is not allowed, or there is nothing to ask."""
        async with self._gate:
            try:
                return await question()
            except Forbidden:
                self.denied.append(what)
            except Missing:
                pass  # an API that this cluster does not serve, for example apiregistration on a virtual cluster
            return otherwise

    async def list(self, path: str, item: type[T], *, selector: str = "", is_namespaced: bool = True) -> "Listed[T]":
        """Everything that is at *path*, or what of it lies in the kubeconfig's own namespace."""
        params = {"labelSelector": selector} if selector else {}
        root, _, plural = path.rpartition("/")
        found = await self.ask(plural, partial(self._pages, path, item, params), None)
        if found is not None or plural not in self.denied:
            return Listed(found or [], is_whole=True)
        here = self._api.namespace
        if not here or not is_namespaced:
            return Listed([], is_whole=False)
        within = f"{root}/namespaces/{quote(here, safe='')}/{plural}"
        return Listed(await self._list_within(here, partial(self._pages, within, item, params)), is_whole=False)

    async def _list_within(
        self, namespace: str, question: Callable[[], Awaitable[builtins.list[T]]]
    ) -> builtins.list[T]:
        async with self._gate:
            try:
                found = await question()
            except (Forbidden, Missing):
                return []
        self.namespace = namespace
        return found

    async def _pages(self, path: str, item: type[T], params: Mapping[str, str]) -> builtins.list[T]:
        try:
            return (await self._api.list(path, item, params=params))[0]
        except TooLarge:
            return (await self._api.list(path, item, params={**params, "limit": _LARGE_A_PAGE}))[0]
