"""A session that may only read, since nothing can be removed now. RFC 1939 §5 and §6, RFC 3206 §4."""

from array import array
from dataclasses import replace

from service.model.policy import Policy
from service.protocol.pop3 import effects, responses
from tests.protocol.pop3.world import World


def reading(policy: Policy | None = None) -> World:
    """A client that just logged in to what can only be read."""
    world = World(policy=policy or Policy()).log_in()
    world.session.logged_in(world.session.marks.drop, world.session.policy, counts_retrieval=True, read_only=True)
    world.send(b"")
    return world


def test_the_response_to_the_login_says_so() -> None:
    assert responses.drop_ready(2, 10, read_only=True) == (
        b"+OK Maildrop locked and read-only for now, 2 messages (10 octets)\r\n"
    )


def test_dele_is_refused_as_transient_in_plain_words_and_marks_nothing() -> None:
    world = reading()
    stat = world.send(b"STAT\r\n")
    refused = world.send(b"DELE 1\r\n")
    assert refused == responses.READ_ONLY
    assert refused.startswith(b"-ERR [SYS/TEMP] ")
    # fetchmail takes a refusal without one of its words for a wrong password.
    assert b"wait" in refused
    assert world.send(b"STAT\r\n") == stat
    assert world.send(b"RETR 1\r\n").startswith(b"+OK")


def test_r17_quit_removes_nothing_and_notes_nothing_whatever_the_policy() -> None:
    for policy in (Policy(), replace(Policy(), retrieved_days=0), replace(Policy(), retrieved_days=3)):
        world = reading(policy)
        world.send(b"RETR 1\r\nDELE 1\r\nQUIT\r\n")
        [update] = [effect for effect in world.performed if isinstance(effect, effects.Update)]
        assert update == effects.Update(array("q"))
