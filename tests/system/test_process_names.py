"""Front ends that share one name for their greetings are told apart in the register of sessions."""

import json
import poplib
import socket
import ssl
from contextlib import closing
from pathlib import Path

from tests.backends.demo import RunningDemo
from tests.system.front_end import front_end


def test_a_session_s_process_is_named_by_its_machine_whatever_the_greeting_says(
    demo: RunningDemo, tmp_path: Path
) -> None:
    account, trust = demo.new_account(), ssl.create_default_context(cafile=demo.ca_file)
    with front_end(demo, tmp_path / "front", hostname="pop.provider.example") as front:
        place = front.place()
        client = poplib.POP3_SSL(place.host, place.port, context=trust, timeout=30)
        with closing(client):
            client.user(account.address)
            client.pass_(account.password)
            rows = json.loads(demo.poplar("session", "list", "--json"))
            found = [row["process"] for row in rows if row["address"] == account.address]
            assert found == [f"{socket.gethostname()}:{front.pid}"]
            client.quit()
