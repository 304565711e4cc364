"""`poplar maildrop explain` after real clients failed at a real service, read as a support desk would. F3.

RFC 2449 §8.1.2: [IN-USE]. RFC 3206 §5: what the client isn't told, staff are.
"""

import json
from typing import Any

from tests.backends.demo import Account, RunningDemo
from tests.cli.conftest import await_true
from tests.system.clients.maildrop import Maildrop


def explained(demo: RunningDemo, address: str, *options: str) -> dict[str, Any]:
    answer = json.loads(demo.poplar("maildrop", "explain", address, "--json", *options))
    assert isinstance(answer, dict)
    return answer


def reasons(demo: RunningDemo, address: str) -> list[str]:
    """Why attempts were refused, the last first; empty for logins."""
    return [told["attempt"]["reason"] for told in explained(demo, address)["attempts"]]


def refused(maildrop: Maildrop, account: Account) -> bytes:
    """The answer to a login with this account's name and password."""
    other = Maildrop(maildrop.demo, account)
    wire, answer = other.log_in(maildrop.demo.place("pop3s"))
    wire.close()
    return answer


def test_a_wrong_password_is_told_with_its_number_client_and_advice(maildrop: Maildrop) -> None:
    demo, own = maildrop.demo, maildrop.account
    for _ in range(2):
        assert refused(maildrop, Account(own.tenant, own.address, "wrong")).startswith(b"-ERR [AUTH]")
    await_true(lambda: reasons(demo, own.address) == ["wrong_secret"], "the refusals in the register")
    answer = explained(demo, own.address)
    assert answer["attempts"][0]["attempt"]["count"] == 2
    assert "from 127.0.0.1, was refused: the password was wrong" in answer["verdict"]
    text = demo.poplar("maildrop", "explain", own.address)
    assert "2 times since" in text
    assert "Enter the password anew" in text
    assert "wrong," not in json.dumps(answer["credentials"])


def test_two_clients_at_once_are_told_apart_while_one_holds_the_maildrop(maildrop: Maildrop) -> None:
    demo, own = maildrop.demo, maildrop.account
    wire, answer = maildrop.log_in(demo.place("pop3s"))
    assert answer.startswith(b"+OK")
    assert refused(maildrop, own).startswith(b"-ERR [IN-USE]")
    await_true(lambda: reasons(demo, own.address)[:1] == ["in_use"], "the refusal in the register")
    told = explained(demo, own.address)
    assert told["session"]["client"] == "127.0.0.1"
    assert told["session"]["session_id"] == told["attempts"][1]["attempt"]["session"]
    assert f"poplar session kick {own.address}" in str(told["findings"])
    wire.close()


def test_a_suspension_and_a_typing_error_look_alike_to_the_client_and_not_to_staff(maildrop: Maildrop) -> None:
    demo, own = maildrop.demo, maildrop.account
    local, _, domain = own.address.partition("@")
    typo = f"{local[:-1]}@{domain}"
    demo.poplar("maildrop", "suspend", own.address)
    answers = {refused(maildrop, own), refused(maildrop, Account(own.tenant, typo, own.password))}
    assert len(answers) == 1
    await_true(lambda: reasons(demo, own.address) == ["suspended"], "the refusal in the register")
    await_true(lambda: reasons(demo, typo) == ["unknown_name"], "the typing error in the register")
    assert f"poplar maildrop resume {own.address}" in str(explained(demo, own.address)["findings"])
    assert f"Is {own.address} meant?" in str(explained(demo, typo)["findings"])
    demo.poplar("maildrop", "resume", own.address)


def test_a_client_that_never_came_is_said_to_look_elsewhere(maildrop: Maildrop) -> None:
    text = maildrop.demo.poplar("maildrop", "explain", maildrop.account.address, "--client", "203.0.113.9")
    assert "Nothing was tried under this name from 203.0.113.9 lately." in text
    assert "server name, its port, its TLS setting" in text.replace("\n", " ")
