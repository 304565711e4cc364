"""Logins held back for wrong passwords: whose, and lifting it.

Owns the paths. They are the provider's alone: an address belongs to no tenant, and would tell one of another's (G10).
"""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel

from service.admin.access import Lifter, Overseer
from service.admin.paging import Listing, Windowed
from service.mail.blocks import Block

router = APIRouter(prefix="/blocks", tags=["blocks"])
Whom = Annotated[
    str,
    Query(min_length=1, max_length=320, description="An address or network, a maildrop's address or a tenant's name."),
]


class BlockResource(BaseModel):
    """Somebody whose logins are held back; `lifts_in` is in seconds, if none fails meanwhile."""

    by: Literal["address", "network", "pair", "account", "tenant"]
    whom: str
    state: Literal["delayed", "refused", "closed"]
    wrong_passwords: float
    lifts_in: int


@router.get("")
async def list_blocks(caller: Overseer, window: Windowed) -> Listing[BlockResource]:
    """Whose logins are delayed, refused or closed."""
    return window.of(await caller.house.blocks.every(), _name, _resource)


@router.delete("", status_code=204)
async def clear_block(caller: Lifter, whom: Whom) -> None:
    """Forget the wrong passwords of somebody, so that logins are looked at again."""
    async with caller.desk() as desk:
        await caller.house.blocks.clear(desk.office, whom)


def _name(block: Block) -> str:
    return f"{block.by} {block.whom}"


def _resource(block: Block) -> BlockResource:
    return BlockResource.model_validate(block, from_attributes=True)
