"""Policies as they stand in a jsonb column.

Owns the way from its text to values, and remembers the policies it met lately: most maildrops share their tenant's.
Refuses to know which level a column belongs to.
"""

import json
from functools import lru_cache

from service.model.policy import Policy, PolicyValue
from service.model.policy_table import policy_of
from service.model.refusal import Reason, Refusal
from service.model.tenancy import Overrides

REMEMBERED = 4_096


def overrides(column: str) -> Overrides:
    """The values that one level sets."""
    return {name: _value(value) for name, value in json.loads(column).items()}


@lru_cache(REMEMBERED)
def policy(column: str) -> Policy:
    """The policy that these values, of all levels together, amount to. Raises Refusal(INVALID) for an unsound one."""
    try:
        return policy_of(overrides(column))
    except ValueError as error:
        raise Refusal(Reason.INVALID, str(error)) from error


def _value(value: PolicyValue | list[str]) -> PolicyValue:
    return tuple(value) if isinstance(value, list) else value
