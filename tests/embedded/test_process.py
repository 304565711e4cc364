"""Ports for embedded servers: no two of one process get the same one."""

from service.embedded.process import free_port


def test_a_port_that_nobody_listens_on_yet_is_not_given_twice() -> None:
    ports = [free_port() for _ in range(500)]
    assert len(set(ports)) == len(ports)
