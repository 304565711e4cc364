"""`poplar`: which commands there are, and what a failure looks like to a person.

Owns the exit codes: 0 done, 1 refused or found wrong, 2 wrong settings or wrong usage. Refuses to do any work:
each command's module is imported when it is asked for, and imports what it needs when it is called, so that the
command starts fast.
"""

import os
import sys
from collections.abc import Mapping
from importlib import import_module
from io import BytesIO, TextIOWrapper
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

MODULES: Mapping[str, str] = MappingProxyType(
    {
        "demo": "demo",
        **dict.fromkeys(("serve", "lmtp", "api", "sweep"), "serving"),
        **dict.fromkeys(("migrate", "doctor", "settings", "version"), "operating"),
        "import": "importing",
        "export": "exporting",
        "probe": "probing",
        "session": "sessions",
        "block": "blocks",
        **dict.fromkeys(("tenant", "domain", "maildrop", "alias", "credential", "issuer"), "tenancy"),
        "audit": "auditing",
        "token": "token",
        "apply": "applying.command",
    }
)
"""The module of `service.cli` whose `mount` adds each command, in the order in which help names them."""


class Commands(TyperGroup):
    """The commands, each there once it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of all."""
        return list(MODULES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of this name, out of its module; None where there is none."""
        if cmd_name in MODULES and cmd_name not in self.commands:
            self._mount(MODULES[cmd_name])
        return super().get_command(ctx, cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that `args` begin with. For a name that is none all must be there, to say which was meant."""
        if args and args[0] not in MODULES:
            for name in MODULES:
                self.get_command(ctx, name)
        return super().resolve_command(ctx, args)

    def _mount(self, module: str) -> None:
        root = typer.Typer()
        import_module(f"service.cli.{module}").mount(root)
        # A callback makes typer keep a single command below its name.
        root.callback()(lambda: None)
        self.commands.update(typer.main.get_group(root).commands)


app = typer.Typer(
    name="poplar",
    cls=Commands,
    help="A multi-tenant POP3 service.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def root(
    config: Annotated[Path | None, typer.Option(help="The YAML file of settings; or set POPLAR_CONFIG.")] = None,
) -> None:
    """A multi-tenant POP3 service."""
    if config is not None:
        # Workers and whatever else a command starts read the same file.
        os.environ["POPLAR_CONFIG"] = str(config.absolute())


def main() -> None:
    """Run the command line; never a traceback for what a person can put right."""
    if sys.stdin is None:
        # Whoever started us closed it: nothing is read from there.
        sys.stdin = TextIOWrapper(BytesIO())
    try:
        app()
    except BrokenPipeError:
        # Whoever read our output had enough, such as `head`.
        sys.exit(1)
    except Exception as error:
        from service.cli.failing import explained

        code, lines = explained(error)
        for line in lines:
            typer.echo(f"poplar: {line}", err=True)
        sys.exit(code)
