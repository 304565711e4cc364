"""`poplar`: which commands there are, and what a failure looks like to a person.

Owns the exit codes: 0 done, 1 refused or found wrong, 2 wrong settings or wrong usage. Refuses to do any work:
each command imports what it needs when it is called, so that the command starts fast.
"""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from service.cli import auditing, blocks, demo, importing, operating, probing, serving, sessions, tenancy, token
from service.cli.applying import command as applying

app = typer.Typer(
    name="poplar",
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


for part in (demo, serving, operating, importing, probing, sessions, blocks, tenancy, auditing, token, applying):
    part.mount(app)


def main() -> None:
    """Run the command line; never a traceback for what a person can put right."""
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
