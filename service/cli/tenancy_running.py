"""How a tenancy verb reaches the use cases: settings, stores, one event loop, one plain sentence on refusal.

Owns who the audit names. Refuses to know what a verb does.
"""

import asyncio
import getpass
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from service.cli.tenancy_output import refuse
from service.mail.provisioning import Provisioning
from service.model.refusal import Refusal

T = TypeVar("T")


def perform(use: Callable[[Provisioning], Awaitable[T]]) -> T:
    """What `use` returns; a refusal is said in plain words and exits with 1."""
    try:
        return asyncio.run(_performed(use))
    except Refusal as refusal:
        refuse(refusal)


async def _performed(use: Callable[[Provisioning], Awaitable[T]]) -> T:
    from service.app import provisioning

    async with provisioning(actor()) as desk:
        return await use(desk)


async def listed(views: AsyncIterator[T]) -> list[T]:
    """All of them."""
    return [view async for view in views]


def actor() -> str:
    """Who types, for the audit."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):  # A container's user need not have a name.
        return f"cli:{os.getuid()}"


async def throughout(
    desk: Provisioning, tenant: str | None, every: Callable[[str], AsyncIterator[T]]
) -> AsyncIterator[T]:
    """What `every` yields for one tenant, or for each in turn. Raises Refusal(NOT_FOUND) for an unknown tenant."""
    tenants = [await desk.tenants.show(tenant)] if tenant else await listed(desk.tenants.every())
    for each in tenants:
        async for view in every(each.name):
            yield view
