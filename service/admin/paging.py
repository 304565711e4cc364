"""Lists, page by page: what was there all the while is seen exactly once, whoever adds and removes meanwhile.

Owns the cursor, which holds the last name that was given and means nothing to clients. Refuses to count pages.
"""

import base64
import binascii
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar

from fastapi import Depends, Query
from pydantic import BaseModel

from service.mail.tenancy import Page
from service.model.refusal import Reason, Refusal

T = TypeVar("T")
Out = TypeVar("Out")
SIFTED = 500
"""Rows that are fetched at a time when not all of them match."""


class Listing(BaseModel, Generic[T]):
    """One page; `next` is what to give as `after` for the next one, null at the end."""

    items: list[T]
    next: str | None


@dataclass(frozen=True, slots=True)
class Window:
    """Which page is asked for; `after` is a name, or empty for the first."""

    after: str
    limit: int

    def listing(self, found: Sequence[T], name: Callable[[T], str], shown: Callable[[T], Out]) -> Listing[Out]:
        """The page out of `found`, which has one more than fits if there is a next one."""
        items = found[: self.limit]
        more = len(found) > self.limit
        return Listing(items=[shown(item) for item in items], next=cursor(name(items[-1])) if more else None)

    def of(self, every: Sequence[T], name: Callable[[T], str], shown: Callable[[T], Out]) -> Listing[Out]:
        """The page out of all there are."""
        following = sorted((each for each in every if name(each) > self.after), key=name)
        return self.listing(following[: self.limit + 1], name, shown)

    async def sift(
        self,
        fetch: Callable[[Page], Awaitable[Sequence[T]]],
        name: Callable[[T], str],
        keep: Callable[[T], bool] | None = None,
    ) -> Sequence[T]:
        """One more than fits, where there are so many, of the rows after the cursor that are to be kept."""
        page, kept = Page(self.after, self.limit + 1 if keep is None else SIFTED), list[T]()
        while rows := await fetch(page):
            kept += rows if keep is None else filter(keep, rows)
            if len(kept) > self.limit or len(rows) < page.limit:
                break
            page = Page(name(rows[-1]), page.limit)
        return kept[: self.limit + 1]


def cursor(name: str) -> str:
    """The cursor that stands after this name."""
    return base64.urlsafe_b64encode(json.dumps(name).encode()).decode().rstrip("=")


def _name(text: str) -> str:
    try:
        name = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        name = None
    if not isinstance(name, str) or cursor(name) != text:
        raise Refusal(Reason.INVALID, "after is not a cursor of this list")
    return name


async def _window(
    after: Annotated[str | None, Query(max_length=2000, description="The `next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=500, description="Items on the page at most.")] = 100,
) -> Window:
    return Window("" if after is None else _name(after), limit)


Windowed = Annotated[Window, Depends(_window)]
