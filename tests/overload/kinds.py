"""What each kind of hostile client does: it comes into its place, says so, and stays until the siege is over.

Owns the behaviours. Refuses to know limits and settings: a client that is thrown out stays out, but for those that come
again and again, which is their way.
"""

import asyncio
import os
import random
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress

from tests.load.mail import SECRET
from tests.overload.hostile import Client, Siege, stay

Kind = Callable[[Siege], Awaitable[None]]


async def logged_in(siege: Siege, number: int) -> Client:
    client = await siege.connect(number, b"")
    await client.log_in(siege.name(number), SECRET)
    siege.held.append(client)
    return client


async def idle(siege: Siege) -> None:
    """Log in and say nothing more."""

    async def one(number: int) -> None:
        await logged_in(siege, number)

    await siege.few_at_a_time(one)
    await stay(siege)


async def trickle(siege: Siege) -> None:
    """Send one octet in `every` seconds, and never a whole line; those that are thrown out come again."""

    async def drip(number: int) -> None:
        every = siege.options["every"]
        client = await siege.connect(number, b"")
        siege.hold(client)
        await asyncio.sleep(every * random.random())
        while not siege.over.is_set():
            if client.closed:
                siege.heard["(thrown out)"] += 1
                siege.held.remove(client)
                client = await siege.connect(number, b"")
                siege.held.append(client)
            client.send(b"N")
            await asyncio.sleep(every)

    drips = [asyncio.create_task(drip(number)) for number in range(siege.clients)]
    await siege.all_held.wait()
    await stay(siege)
    for each in drips:
        each.cancel()


async def unread(siege: Siege) -> None:
    """Ask for the one large message and read no more of it than its first octets."""

    async def one(number: int) -> None:
        client = await logged_in(siege, number)
        client.listens = False
        client.transport.pause_reading()
        client.send(b"RETR 1\r\n")

    await siege.few_at_a_time(one)
    await asyncio.sleep(siege.options.get("settle", 1.0))
    await stay(siege)


async def pipeline(siege: Siege) -> None:
    """Write `commands` times `command` in one go, after a login or without; read the responses, or don't."""
    options = siege.options
    lines = options["command"].encode() + b"\r\n"

    async def one(number: int) -> None:
        client = await siege.connect(number, b"")
        if options["logs_in"]:
            await client.log_in(siege.name(number), SECRET)
        siege.held.append(client)
        client.listens = False
        if not options["reads"]:
            client.transport.pause_reading()
        client.send(lines * options["commands"])

    await siege.few_at_a_time(one)
    await stay(siege)


def client_hello(name: str = "pop.example") -> bytes:
    """What a client of TLS says first."""
    context = ssl.create_default_context()
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    handshake = context.wrap_bio(into, out, server_hostname=name)
    with suppress(ssl.SSLWantReadError):
        handshake.do_handshake()
    return out.read()


async def handshakes(siege: Siege) -> None:
    """Begin a handshake and never finish it: say nothing at all, a whole ClientHello, or half a record."""
    hello = client_hello()
    beginnings = (b"", hello, hello[: len(hello) // 2])

    async def one(number: int) -> None:
        client = await siege.connect(number, beginnings[number % len(beginnings)], tls="")
        client.listens = False
        siege.held.append(client)

    await siege.few_at_a_time(one)
    await stay(siege)


async def names(siege: Siege) -> None:
    """Finish handshakes, each for another invented name, over and over; a thousand at least."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    done, enough = 0, asyncio.Event()

    async def again_and_again(number: int) -> None:
        nonlocal done
        while not siege.over.is_set():
            with suppress(OSError):
                plain = await siege.connect(number, b"", tls="")
                name = f"{os.urandom(12).hex()}.{os.urandom(3).hex()}.example"
                talk = Client(siege.heard)
                loop = asyncio.get_running_loop()
                secured = await loop.start_tls(plain.transport, talk, context, server_hostname=name)
                talk.connection_made(secured or plain.transport)
                await talk.line()
                talk.send(b"QUIT\r\n")
                await talk.line()
                talk.transport.close()
                done += 1
                if done == siege.options["least"]:
                    enough.set()

    callers = [asyncio.create_task(again_and_again(number)) for number in range(siege.clients)]
    await enough.wait()
    await stay(siege)
    await asyncio.gather(*callers)
    siege.heard["(handshakes)"] = done


async def flood(siege: Siege) -> None:
    """Guess passwords, of accounts that exist and of invented ones, each connection from another address."""
    began = 0

    async def guess(_: int) -> None:
        nonlocal began
        while not siege.over.is_set():
            number, began = began, began + 1
            invented = f"nobody{number}@nowhere{number % 999}.example"
            name = siege.name(number % siege.options["accounts"]) if number % 2 else invented
            with suppress(OSError):
                client = await siege.connect(number % siege.options["addresses"], b"")
                for attempt in range(3):
                    await client.log_in(name, f"wrong {number} {attempt}") if not attempt else await again(
                        client, name, f"wrong {number} {attempt}"
                    )
                    if client.closed:
                        break
                client.transport.abort()

    guesses = [asyncio.create_task(guess(number)) for number in range(siege.clients)]
    await asyncio.sleep(siege.options.get("settle", 2.0))
    await stay(siege)
    for each in guesses:
        each.cancel()
    siege.heard["(connections)"] = began


async def again(client: Client, name: str, secret: str) -> None:
    """Another guess on the same connection."""
    client.send(f"USER {name}\r\nPASS {secret}\r\n".encode())
    await client.line()
    await client.line()


KINDS: dict[str, Kind] = {
    each.__name__: each for each in (idle, trickle, unread, pipeline, handshakes, names, flood)
}  # fmt: skip
