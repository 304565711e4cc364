"""The figures of recovery, from histories made by hand. G6, G14.

RFC 3206 §4: "The SYS/TEMP response code indicates a problem which is likely to be temporary in nature".
"""

from typing import Any

from tests.faults.campaign.recovery import Recovery
from tests.faults.operations import Kind, Operation, Outcome
from tests.faults.telling import LOST

UNAVAILABLE = "-ERR [SYS/TEMP] Try again later: service unavailable, please wait"


class Story:
    """A history that is written down line by line."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []

    def note(self, kind: Kind, began: float, ended: float, outcome: Outcome = "ok", **more: Any) -> "Story":
        place = {name: more.pop(name, None) for name in ("session", "maildrop")}
        said = more.pop("said", "")
        self.operations.append(
            Operation(len(self.operations), "somebody", kind, began, ended, outcome, said, **place, facts=more)
        )
        return self

    def login(self, session: str, server: str, ended: float, outcome: Outcome = "ok", said: str = "") -> "Story":
        facts = {"address": "ada@acme.example", "server": server}
        return self.note("login", ended - 0.1, ended, outcome, session=session, said=said, **facts)

    def fault(self, what: str, began: float, ended: float, *touches: str) -> "Story":
        self.note("fault", began, began, what=what, touches=touches)
        return self.note("mended", ended, ended, what=what, touches=touches)

    def figure(self, what: str) -> str:
        found = [str(each) for each in Recovery(self.operations).figures() if what in each.what]
        assert len(found) == 1
        return found[0].split("|")[-2].strip()


def test_g6_a_maildrop_is_back_with_the_first_login_after_the_death_of_the_front_end_that_held_it() -> None:
    story = Story().login("s1", "front 1", 1.0).login("s2", "front 1", 2.0).note("quit", 3, 3, session="s2")
    story.fault("front end killed", 10.0, 30.0, "front 1").login("s3", "front 2", 15.0, "fail").login(
        "s4", "front 2", 18
    )
    assert story.figure("was killed") == "median 8.0 s, worst 8.0 s"


def test_g6_a_session_that_was_over_before_its_front_end_died_counts_for_nothing() -> None:
    story = Story().login("s1", "front 1", 1.0).note("quit", 2, 2, session="s1")
    story.fault("front end killed", 10.0, 30.0, "front 1").login("s2", "front 2", 18)
    assert story.figure("was killed") == "none"


def test_a_recovery_that_no_client_could_see_counts_for_nothing() -> None:
    story = Story().login("s1", "front 1", 1.0).fault("front end killed", 10.0, 30.0, "front 1")
    story.fault("clients out of reach", 12.0, 25.0, "clients").login("s2", "front 2", 26)
    assert story.figure("was killed") == "none"


def test_logins_without_redis_are_counted_by_their_answers() -> None:
    story = Story().fault("Redis gone", 10.0, 30.0, "redis").login("s1", "front 1", 15.0)
    story.login("s2", "front 1", 16.0, "fail", UNAVAILABLE).login("s3", "front 1", 40.0)
    assert story.figure("without Redis") == "1 opened, 1 refused as unavailable, in 1 outages"


def test_g14_refusals_of_the_store_are_measured_and_listings_counted() -> None:
    story = Story().fault("store silent", 10.0, 30.0, "objects")
    story.note("retr", 11, 15.5, "fail", said=UNAVAILABLE).note("top", 11, 13, "fail", said=UNAVAILABLE)
    story.fault("Postgres out of reach", 16.0, 24.0, "postgres", "front 1")
    story.note("top", 16.5, 26.5, "fail", said=UNAVAILABLE).note("top", 14, 16.5, "fail", said=UNAVAILABLE)
    story.note("list", 12, 12.1).note("stat", 12, 12.1).note("uidl", 12, 12.1, "fail")
    assert story.figure("RETR and TOP") == "median 2.5 s, worst 4.5 s"
    assert story.figure("LIST, UIDL") == "2 answered, 1 not, in 1 outages"


def test_a_listing_that_a_newer_session_kept_from_being_given_is_not_counted_against_the_outage() -> None:
    story = Story().fault("store silent", 10.0, 30.0, "objects").login("s1", "front 1", 11.0)
    story.login("s2", "front 2", 12.0).note("list", 13, 13.1, "fail", session="s1", said=LOST)
    story.note("list", 13, 13.1, "fail", session="s2", said=UNAVAILABLE)
    assert story.figure("LIST, UIDL") == "0 answered, 1 not, in 1 outages"


def test_a_rolling_update_is_measured_by_what_was_cut_and_what_went_unanswered() -> None:
    story = Story().fault("front ends replaced", 10.0, 30.0, "front 1")
    story.note("retr", 11, 12, said="+OK 9 octets").note("retr", 12, 13, "unknown", said="+OK 9 octets")
    story.note("quit", 13, 14, "unknown", waited=False).note("quit", 14, 15, "unknown", waited=True)
    assert story.figure("rolling") == "1 updates: 1 of 2 RETR cut, 1 of 1 QUIT unanswered"


def test_a_session_that_a_newer_one_ended_is_not_counted_against_the_update() -> None:
    story = Story().fault("front ends replaced", 10.0, 30.0, "front 1").login("s1", "front 1", 11.0)
    story.login("s2", "front 2", 12.0).note("quit", 13, 14, "unknown", session="s1", waited=True)
    assert story.figure("rolling") == "1 updates: 0 of 0 RETR cut, 0 of 1 QUIT unanswered"


def test_service_is_back_at_each_front_end_with_its_first_login_after_postgres_is() -> None:
    story = Story().login("s0", "front 2", 1).fault("Postgres killed", 10.0, 20.0, "postgres")
    story.login("s1", "front 1", 21).login("s2", "front 2", 23)
    assert story.figure("once Postgres is back") == "median 2.0 s, worst 3.0 s"


def test_a_front_end_that_stood_still_itself_tells_nothing_of_postgres() -> None:
    story = Story().login("s0", "front 2", 1).note("fault", 9, 9, what="front end paused", touches=("front 2",))
    story.fault("Postgres killed", 10.0, 20.0, "postgres").login("s1", "front 1", 21)
    story.note("mended", 34, 34, what="front end paused", touches=("front 2",)).login("s2", "front 2", 35)
    assert story.figure("once Postgres is back") == "median 1.0 s, worst 1.0 s"
