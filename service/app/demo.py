"""The demo: everything Poplar needs and Poplar itself, on this machine, in one folder.

Owns the order in which the parts come up and what the first start puts in. Refuses to know how it looks
on a screen (`cli/demo_screen.py`) and which signals end it. Every login has only the rights of its part.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from service.app.demo_settings import DemoPorts, Logins, demo_settings, save_settings
from service.app.demo_tenancy import DemoAccount, accounts_of, provide_accounts
from service.app.running import Running, running
from service.embedded.certificate import CertificateFiles, certificate_files
from service.embedded.corpus import Post, all_letters
from service.embedded.postgres import PostgresServer, ensure_database, running_postgres
from service.embedded.posting import post_all
from service.embedded.state import note, recall
from service.embedded.valkey import ValkeyServer, running_valkey
from service.settings import Settings
from service.stores.postgres.logins import create_login
from service.stores.postgres.migrate import migrate

DATABASE = "poplar"

Tell = Callable[[str, int, int], None]
"""Called with a step's name, how much of it is done, and how much there is."""


@dataclass(frozen=True, slots=True)
class Servers:
    """What runs beside Poplar, and the folder that holds it all."""

    state: Path
    postgres: PostgresServer
    valkey: ValkeyServer
    certificates: CertificateFiles


@dataclass(frozen=True, slots=True)
class Demo:
    """A demo whose listeners all answer."""

    servers: Servers
    running: Running
    accounts: tuple[DemoAccount, ...]
    config: Path
    """The settings as a file, for other commands to use on this demo."""

    @property
    def owner_dsn(self) -> str:
        """The database, with its owner's login."""
        return self.servers.postgres.dsn(DATABASE)


@contextmanager
def demo_servers(state: Path, tell: Tell) -> Iterator[Servers]:
    """Valkey, Postgres and certificates in the folder `state`, which is held already, until the block ends.

    Call it from the main thread. Raises EmbeddedError in plain words.
    """
    with ExitStack() as stack:
        tell("Valkey", 0, 1)
        valkey = stack.enter_context(running_valkey(state / "valkey", durable=True))
        tell("Postgres", 0, 1)
        postgres = stack.enter_context(running_postgres(state / "postgres", durable=True))
        tell("Certificates", 0, 1)
        yield Servers(state, postgres, valkey, certificate_files(state))


@asynccontextmanager
async def running_demo(servers: Servers, ports: DemoPorts, tell: Tell) -> AsyncIterator[Demo]:
    """Poplar on these servers, with its accounts and letters, until the block ends; then it drains.

    Raises OSError when a port is taken, EmbeddedError when a letter isn't taken.
    """
    tell("Migrations", 0, 1)
    await ensure_database(servers.postgres, DATABASE)
    await migrate(servers.postgres.dsn(DATABASE))
    tell("Logins", 0, 1)
    settings = demo_settings(servers.state, servers.valkey.url, await _logins(servers), ports)
    tell("Accounts", 0, 1)
    accounts = await _accounts(servers.state, settings)
    tell("Listeners", 0, 1)
    async with running(settings, {"pop3", "lmtp", "api"}) as poplar:
        await _deliver(servers.state, poplar, accounts, tell)
        config = save_settings(servers.state, settings, poplar)
        yield Demo(servers, poplar, accounts, config)


async def _logins(servers: Servers) -> Logins:
    """The DSN of each part's own login, made or brought up to date."""
    owner = servers.postgres.dsn(DATABASE)
    made = {}
    for part in ("front", "lmtp", "sweep", "api"):
        password = secrets.token_urlsafe(18)
        await create_login(owner, f"demo_{part}", password, f"poplar_{part}")
        made[part] = servers.postgres.dsn(DATABASE, f"demo_{part}", password)
    return Logins(owner=owner, **made)


async def _accounts(state: Path, settings: Settings) -> tuple[DemoAccount, ...]:
    """The accounts: provided at the first start, remembered ever after."""
    notes = recall(state)
    accounts = accounts_of(notes.get("accounts"))
    if not notes.get("provided"):
        # The passwords are noted before they are used, so that an interrupted start can be taken up.
        note(state, notes | {"accounts": [account.as_json() for account in accounts]})
        await provide_accounts(settings, accounts)
        note(state, recall(state) | {"provided": True})
    return accounts


async def _deliver(state: Path, poplar: Running, accounts: tuple[DemoAccount, ...], tell: Tell) -> None:
    """Hand in the letters that no earlier start handed in."""
    addresses = [account.address for account in accounts]
    letters = list(all_letters(Post((addresses[0], addresses[1]), (addresses[2], addresses[3]))))
    done = int(recall(state).get("delivered", 0))
    tell("Letters", done, len(letters))
    if done >= len(letters):
        return
    async for _ in post_all(*poplar.ports["lmtp"], letters[done:]):
        done += 1
        note(state, recall(state) | {"delivered": done})
        tell("Letters", done, len(letters))
        await asyncio.sleep(0)
