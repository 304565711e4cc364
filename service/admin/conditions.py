"""Entity tags: a change can be made to depend on what its maker has read.

Owns the tag of a resource and the reading of conditions. Refuses to compare anything but tags.
RFC 9110 §8.8.3 (ETag), §13.1.1 (If-Match), §13.1.2 (If-None-Match).
"""

import hashlib
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any

from fastapi import Depends, Header
from pydantic import BaseModel
from starlette.responses import Response

from service.admin.problems import ChangedMeanwhileError

NOTHING: AbstractSet[str] = frozenset()
SHOWING = frozenset({"200", "201"})
TOLD: Mapping[str, object] = MappingProxyType(
    {"required": True, "schema": {"type": "string"}, "description": "Its tag, for If-Match."}
)


def entity_tag(resource: BaseModel, leaving_out: AbstractSet[str] = NOTHING) -> str:
    """A strong tag of what can be changed; `leaving_out` names fields that change by themselves."""
    # RFC 9110 §8.8.1: "A "strong validator" is representation metadata that changes value whenever a change occurs to
    # the representation data". Deviates: a credential's last use isn't part of it, or every login would make a change
    # fail.
    text = resource.model_dump_json(exclude=set(leaving_out))
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


def tagged(response: Response, tag: str) -> None:
    """Tell the resource's tag."""
    response.headers["ETag"] = tag


def describe_tags(paths: Mapping[str, dict[str, Any]]) -> None:
    """Say in the document where a tag is told: wherever a thing is shown that can be changed by its tag."""
    for operations in paths.values():
        asked = {each["name"] for operation in operations.values() for each in operation.get("parameters", ())}
        answers = [each for operation in operations.values() for each in operation["responses"].items()]
        for answer in [answer for status, answer in answers if "if-match" in asked and status in SHOWING]:
            answer["headers"] = {"ETag": dict(TOLD)}


@dataclass(frozen=True, slots=True)
class Condition:
    """What a request says must hold, or else nothing is to be changed."""

    match: str | None = None
    none_match: str | None = None

    def check(self, current: str | None) -> None:
        """`current` is the tag of what is there, or None. Raises ChangedMeanwhileError."""
        # RFC 9110 §13.1.1: "If the field value is "*", the condition is true if the origin server has a current
        # representation for the target resource."
        if self.match is not None and (current is None or not _names(self.match, current)):
            raise ChangedMeanwhileError
        # RFC 9110 §13.1.2: "If the field value is "*", the condition is false if the origin server has a current
        # representation for the target resource."
        if self.none_match is not None and current is not None and _names(self.none_match, current):
            raise ChangedMeanwhileError


def _names(field: str, current: str) -> bool:
    # RFC 9110 §8.8.3.2: "Strong comparison: two entity tags are equivalent if both are not weak and their opaque-tags
    # match character-by-character." Our tags hold no comma.
    return field.strip() == "*" or current in (each.strip() for each in field.split(","))


async def _condition(
    if_match: Annotated[str | None, Header(description="Change it only if it has one of these tags.")] = None,
    if_none_match: Annotated[str | None, Header(description="* to create it only if it isn't there.")] = None,
) -> Condition:
    return Condition(if_match, if_none_match)


Conditional = Annotated[Condition, Depends(_condition)]


@dataclass(frozen=True, slots=True)
class _Beside:
    """What stands beside the form of a request that writes: its condition, and the response's headers and status."""

    condition: Condition
    response: Response


async def _beside(condition: Conditional, response: Response) -> _Beside:
    return _Beside(condition, response)


Beside = Annotated[_Beside, Depends(_beside)]
