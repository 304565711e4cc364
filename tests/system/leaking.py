"""Poplar with a leak: its directory answers for unknown names sooner than for known ones, by more than the delay hides.

It is run in place of `service`, so that the test that is to find no leak is seen to find this one.
"""

import asyncio

from service.cli.main import main
from service.model.account import Account
from service.stores.postgres.directory import PostgresDirectory
from tests.load.refusals import QUANTUM

_find = PostgresDirectory.find


async def _leaking(self: PostgresDirectory, name: str) -> Account | None:
    account = await _find(self, name)
    if account is not None:
        await asyncio.sleep(QUANTUM)
    return account


if __name__ == "__main__":
    PostgresDirectory.find = _leaking  # type: ignore[method-assign]
    main()
