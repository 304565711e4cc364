"""Any sequence of commands against a model maildrop: what hypothesis can't tell apart, clients can't either.

The model is RFC 1939 §5 and §6 in thirty lines; G2, G3 and G9 must hold after every step.
"""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from service.model.policy import Policy
from tests.protocol.pop3.world import World, unique_id

numbers = st.integers(0, 7)
ABSENT = b"-ERR No such message\r\n"
REFUSED = b"-ERR Messages may not be removed here\r\n"


class MaildropMachine(RuleBasedStateMachine):
    """One session after another over a maildrop of up to five messages, and the model beside them."""

    @initialize(
        count=st.integers(0, 5),
        dele=st.sampled_from(["remove", "undo", "keep", "refuse"]),
        days=st.sampled_from([None, 0, 14]),
    )
    def open(self, count: int, dele: str, days: int | None) -> None:
        self.policy = Policy(dele=dele, retrieved_days=days)
        self.stored = [b"N: %d\r\n\r\n" % n + b".line\r\n" * n for n in range(1, count + 1)]
        self.reopen()

    def reopen(self) -> None:
        self.world = World(messages=list(self.stored), policy=self.policy).log_in()
        self.marked: set[int] = set()
        self.retrieved: set[int] = set()

    def listed(self, number: int) -> bool:
        return 1 <= number <= len(self.stored) and number not in self.marked

    @property
    def unmarked(self) -> list[int]:
        return [n for n in range(1, len(self.stored) + 1) if n not in self.marked]

    @rule(number=numbers)
    def dele(self, number: int) -> None:
        answer = self.world.send(b"DELE %d\r\n" % number)
        if self.policy.dele == "refuse":
            assert answer == REFUSED
        elif self.listed(number):
            assert answer == b"+OK\r\n"
            self.marked.add(number)
        else:
            assert answer == ABSENT

    @rule(number=numbers)
    def retr(self, number: int) -> None:
        answer = self.world.send(b"RETR %d\r\n" % number)
        if self.listed(number):
            stuffed = self.stored[number - 1].replace(b"\r\n.", b"\r\n..")
            assert answer == b"+OK %d octets\r\n" % len(self.stored[number - 1]) + stuffed + b".\r\n"
            self.retrieved.add(number)
        else:
            assert answer == ABSENT

    @rule(number=numbers)
    def top(self, number: int) -> None:
        """RFC 1939 §7: TOP isn't RETR, however many lines it asks for."""
        answer = self.world.send(b"TOP %d 99999999\r\n" % number)
        assert answer.startswith(b"+OK\r\n" if self.listed(number) else ABSENT)

    @rule(number=numbers)
    def uidl(self, number: int) -> None:
        answer = self.world.send(b"UIDL %d\r\n" % number)
        if self.listed(number):
            assert answer == b"+OK %d %s\r\n" % (number, unique_id(self.stored[number - 1]).hex().encode())
        else:
            assert answer == ABSENT

    @rule()
    def list_all(self) -> None:
        lines = [b"%d %d" % (n, len(self.stored[n - 1])) for n in self.unmarked]
        assert self.world.send(b"LIST\r\n").split(b"\r\n")[1:] == [*lines, b".", b""]

    @rule()
    def rset(self) -> None:
        assert self.world.send(b"RSET\r\n") == b"+OK\r\n"
        self.marked.clear()

    @rule(junk=st.sampled_from([b"QUIT now", b"", b"DELE", b"DELE 1 2", b"EXPUNGE", b"PASS x", b"LIST 0x1"]))
    def mistype(self, junk: bytes) -> None:
        assert self.world.send(junk + b"\r\n").startswith(b"-ERR ")

    @rule()
    def quit(self) -> None:
        removed = self.marked if self.policy.removes else set()
        noted = self.retrieved - removed if self.policy.retrieved_days is not None else set()
        if self.policy.retrieved_days == 0:
            removed, noted = removed | noted, set()
        kept = len(self.marked - removed)
        answer = self.world.send(b"QUIT\r\n")
        assert answer.startswith(b"+OK Bye")
        assert [int(word) for word in answer.split() if word.isdigit()] == [n for n in (len(removed), kept) if n]
        assert self.world.noted == [self.stored[n - 1] for n in sorted(noted)]
        self.stored = [message for n, message in enumerate(self.stored, 1) if n not in removed]
        assert self.world.messages == self.stored
        self.reopen()

    @precondition(lambda self: hasattr(self, "world"))
    @rule()
    def vanish(self) -> None:
        assert self.world.messages == self.stored
        self.reopen()

    @invariant()
    def stat_is_the_sum_of_what_is_listed(self) -> None:
        if hasattr(self, "world"):
            octets = sum(len(self.stored[n - 1]) for n in self.unmarked)
            assert self.world.send(b"STAT\r\n") == b"+OK %d %d\r\n" % (len(self.unmarked), octets)


TestMaildrop = MaildropMachine.TestCase
TestMaildrop.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
