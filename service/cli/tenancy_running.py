"""How a tenancy verb reaches the use cases: settings, stores and one event loop.

Owns who the audit names. Refuses to know what a verb does, and how a refusal is said.
"""

import asyncio
import getpass
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from service.mail.provisioning import Provisioning

T = TypeVar("T")


def perform(use: "Callable[[Provisioning], Awaitable[T]]") -> T:
    """What `use` returns. Raises Refusal."""
    return asyncio.run(_performed(use))


async def _performed(use: "Callable[[Provisioning], Awaitable[T]]") -> T:
    from service.app.provisioning import provisioning
    from service.settings import load_settings

    async with provisioning(load_settings(), actor()) as desk:
        return await use(desk)


def perform_and_look(
    act: "Callable[[Provisioning], Awaitable[object]]", look: "Callable[[Provisioning], Awaitable[T]]"
) -> T:
    """What `look` returns once `act` is done. Raises Refusal."""

    async def use(desk: "Provisioning") -> T:
        await act(desk)
        return await look(desk)

    return perform(use)


async def listed(views: AsyncIterator[T]) -> list[T]:
    """All of them."""
    return [view async for view in views]


async def only(views: AsyncIterator[T], keep: Callable[[T], bool]) -> list[T]:
    """Those that are to be kept."""
    return [view async for view in views if keep(view)]


async def throughout(
    desk: "Provisioning", tenant: str | None, every: Callable[[str], AsyncIterator[T]]
) -> AsyncIterator[T]:
    """What `every` yields for one tenant, or for each in turn. Raises Refusal(NOT_FOUND) for an unknown tenant."""
    tenants = [await desk.tenants.show(tenant)] if tenant else await listed(desk.tenants.every())
    for each in tenants:
        async for view in every(each.name):
            yield view


def actor() -> str:
    """Who types, for the audit."""
    return f"cli:{user()}"


def user() -> str:
    """The user of this machine who runs the command."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # A container's user need not have a name.
        return str(os.getuid())
