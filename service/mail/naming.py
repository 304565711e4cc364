"""From the names that staff write to the tenancy and the address they mean.

Owns which tenant a name belongs to, and turns broken invariants and absent things into refusals whose cause is one
plain sentence. Where a tenant is given, a name of another tenant's is simply not there (G10).
Refuses to know what is done with the name.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from service.mail.new_names import unfit_alias, unfit_maildrop
from service.mail.tenancy import Domains, Page
from service.mail.viewing import PREFIX, is_recent
from service.model.address import Address, parse_address, parse_domain
from service.model.refusal import Reason, Refusal
from service.model.tenancy import DomainView

T = TypeVar("T")


@contextmanager
def plainly() -> Iterator[None]:
    """Turns a ValueError of the model into Refusal(INVALID) with its words."""
    try:
        yield
    except ValueError as error:
        raise Refusal(Reason.INVALID, str(error)) from error


def found(thing: T | None, otherwise: str) -> T:
    """`thing`. Raises Refusal(NOT_FOUND) with the words `otherwise` when it is None."""
    if thing is None:
        raise Refusal(Reason.NOT_FOUND, otherwise)
    return thing


def domain_name(text: str) -> str:
    """The domain in `text`. Raises Refusal(INVALID)."""
    with plainly():
        return parse_domain(text)


def maildrop_address(text: str) -> Address:
    """The address in `text`, which has no tag. Raises Refusal(INVALID)."""
    with plainly():
        address = parse_address(text)
    if "+" in text.rpartition("@")[0]:
        raise Refusal(Reason.INVALID, "the name of a maildrop or alias has no + (what follows it is a tag)")
    if is_recent(text):
        raise Refusal(Reason.INVALID, f"the name of a maildrop or alias doesn't begin with {PREFIX}")
    return address


def new_alias(text: str) -> Address:
    """The address in `text`, as `maildrop_address` reads it, of an alias that is to be. Raises Refusal(INVALID)."""
    address = maildrop_address(text)
    if refusal := unfit_alias(address):
        raise refusal
    return address


def new_maildrop(text: str) -> Address:
    """The address in `text`, as `maildrop_address` reads it, of a maildrop that is to be. Raises Refusal(INVALID)."""
    address = maildrop_address(text)
    if refusal := unfit_maildrop(address):
        raise refusal
    return address


async def owned(domains: Domains, text: str, tenant: str | None) -> DomainView:
    """The domain called `text`, of `tenant` if one is given. Raises Refusal: INVALID, NOT_FOUND."""
    name = domain_name(text)
    view = found(await domains.find(name), f"there is no domain {name}")
    return found(view if tenant in (None, view.tenant) else None, f"there is no domain {name}")


async def pages(fetch: Callable[[Page], Awaitable[Sequence[T]]], name: Callable[[T], str]) -> AsyncIterator[T]:
    """Every row that `fetch` offers, page after page; `name` is what the next page starts after."""
    page = Page()
    while rows := await fetch(page):
        for row in rows:
            yield row
        page = Page(name(rows[-1]), page.limit)
