"""Renews many leases in rounds, and keeps a renewal from bringing back a lease that its session released.

A renewal takes a forgotten lease again; one that reached the server after the release of the same lease would lock
the maildrop for nobody. So a release waits for its renewal under way and is skipped by what is to come.
Owns that order, and how many leases are asked for at once. Refuses to know the commands.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence

from service.mail.ports import Lease, Renewal
from service.stores.redis.errors import CallFailed

Answer = asyncio.Future[object]
LOST, EXTENDED, FORGOTTEN = 0, 1, 2


class Renewals:
    """`extend` answers with LOST, EXTENDED or FORGOTTEN, `take` registers the session anew; `at_once` leases a turn."""

    def __init__(self, extend: Callable[[Lease], Answer], take: Callable[[Lease], Answer], at_once: int) -> None:
        self._extend = extend
        self._take = take
        self._at_once = at_once
        self._due: list[dict[str, Lease]] = []
        self._under_way: dict[str, asyncio.Task[Renewal]] = {}

    async def renew(self, leases: Sequence[Lease]) -> Renewal:
        """What became of `leases`. Raises CallFailed if not one could be asked for."""
        due = {lease.token: lease for lease in leases}
        self._due.append(due)
        try:
            return await self._rounds(due)
        finally:
            self._due.remove(due)

    def leave(self, lease: Lease) -> "asyncio.Task[Renewal] | None":
        """Renew `lease` no more; what is under way may still bring it back, and is to be waited for."""
        for due in self._due:
            due.pop(lease.token, None)
        return self._under_way.get(lease.token)

    async def _rounds(self, due: dict[str, Lease]) -> Renewal:
        rounds: list[Renewal] = []
        unanswered: list[Lease] = []
        failed: CallFailed | None = None
        while due:
            leases = [due.pop(token) for token in list(due)[: self._at_once]]
            try:
                # A round goes on when its caller is cancelled, so that a release can still wait for it.
                rounds.append(await asyncio.shield(self._started(leases)))
            except CallFailed as error:
                failed = error
                unanswered += leases
        if failed is not None and not rounds:
            raise failed
        return _together([*rounds, Renewal(unanswered=unanswered)])

    def _started(self, leases: Sequence[Lease]) -> "asyncio.Task[Renewal]":
        """A round, known to be under way from this moment on."""
        task = asyncio.get_running_loop().create_task(self._round(leases))
        self._under_way.update((lease.token, task) for lease in leases)
        task.add_done_callback(lambda _: self._end(leases))
        return task

    async def _round(self, leases: Sequence[Lease]) -> Renewal:
        states = await _answers(leases, self._extend)
        forgotten = _in_state(leases, states, FORGOTTEN)
        await _answers(forgotten, self._take)
        unanswered = [lease for lease, state in zip(leases, states, strict=True) if isinstance(state, Exception)]
        return Renewal(_in_state(leases, states, LOST), forgotten, unanswered)

    def _end(self, leases: Sequence[Lease]) -> None:
        for lease in leases:
            self._under_way.pop(lease.token, None)


def _together(rounds: Sequence[Renewal]) -> Renewal:
    return Renewal(
        [lease for each in rounds for lease in each.lost],
        [lease for each in rounds for lease in each.regained],
        [lease for each in rounds for lease in each.unanswered],
    )


def _in_state(leases: Sequence[Lease], states: Sequence[object], state: int) -> list[Lease]:
    return [lease for lease, found in zip(leases, states, strict=True) if found == state]


async def _answers(leases: Sequence[Lease], ask: Callable[[Lease], Answer]) -> list[object]:
    """An answer for each lease, an exception standing for itself. Raises CallFailed when there is nothing else."""
    answers = await asyncio.gather(*_asked(leases, ask), return_exceptions=True)
    failures = [answer for answer in answers if isinstance(answer, CallFailed)]
    if failures and len(failures) == len(answers):
        raise failures[0]
    return list(answers)


def _asked(leases: Iterable[Lease], ask: Callable[[Lease], Answer]) -> list[Answer]:
    asked = []
    for lease in leases:
        try:
            asked.append(ask(lease))
        except CallFailed as refused:
            # One node out of reach says nothing of the leases that others keep.
            answer: Answer = asyncio.get_running_loop().create_future()
            answer.set_exception(refused)
            asked.append(answer)
    return asked
