"""What a defect is, and how one is run: put in, taken through its scenario, and judged.

Owns the registry. Refuses to know what any of them does.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import trustme
from pytest import MonkeyPatch  # noqa: PT013 - used outside of tests too

from tests.faults.checking import Violation, judge
from tests.faults.operations import Operation
from tests.faults.seeded.clients import last_look
from tests.faults.seeded.scenarios import Scenario
from tests.faults.seeded.stage import MakeStores, in_memory, staged

PutIn = Callable[[MonkeyPatch], None]


@dataclass(frozen=True)
class Defect:
    """`guarantees`: one of these must be found broken. `sql` is run where the defect is in the database."""

    name: str
    words: str
    guarantees: frozenset[str]
    scenario: Scenario
    put_in: PutIn
    real: bool = False
    """Whether it is in what speaks to Postgres or Redis, and needs them."""
    sql: str = ""


DEFECTS: dict[str, Defect] = {}


def defect(guarantees: str, scenario: Scenario, *, real: bool = False, sql: str = "") -> Callable[[PutIn], PutIn]:
    """Registers what puts a defect in, by its name and docstring."""

    def register(put_in: PutIn) -> PutIn:
        name = put_in.__name__
        assert name not in DEFECTS
        words = (put_in.__doc__ or "").strip()
        DEFECTS[name] = Defect(name, words, frozenset(guarantees.split()), scenario, put_in, real or bool(sql), sql)
        return put_in

    return register


async def run(
    scenario: Scenario, defect: Defect | None = None, stores: MakeStores = in_memory, *, tls: bool = False
) -> tuple[Sequence[Operation], Sequence[Violation]]:
    """The history of a scenario, with a defect or without, and what the checker finds in it."""
    with MonkeyPatch.context() as patch:
        async with staged(stores, trustme.CA() if tls else None) as stage:
            if defect is not None:
                defect.put_in(patch)
                if defect.sql and stage.stores.owner is not None:
                    await stage.stores.owner.execute(defect.sql)
            await scenario(stage)
            # What is looked at in the end is what is there: the defect stays in.
            await last_look(stage)
            history = stage.history()
    return history, judge(history)
