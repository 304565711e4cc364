"""`poplar apply`: reads the files, shows the difference, asks, and makes it so.

Owns the exit codes: 0 everything is as declared (now), 1 refused, 2 wrong files or wrong usage, 3 there are differences
and --dry-run left them. Refuses to compare.
"""

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.gathering import gathering

if TYPE_CHECKING:
    from service.mail.declared.applying import Applier
    from service.mail.declared.planning import Plan
    from service.mail.declared.wanted import WantedTenant
    from service.mail.declared.wishes import Wishes

DIFFERENT = 3

Files = Annotated[
    list[Path],
    typer.Option(
        "--file", "-f", metavar="PATH", help="A YAML file, a folder of them, or - for standard input; may be repeated."
    ),
]


@dataclass(frozen=True, slots=True)
class ApplyFlags:
    """How it is done."""

    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the difference and change nothing; exits with 3 if there is one.")
    ] = False
    prune: Annotated[
        bool, typer.Option("--prune", help="Remove what a written section doesn't name; tenants never.")
    ] = False
    reset_passwords: Annotated[
        bool, typer.Option("--reset-passwords", help="Replace stored passwords that differ from the declared ones.")
    ] = False
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove without asking.")] = False
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False


def mount(root: typer.Typer) -> None:
    """Add the command to `root`."""
    root.command("apply")(gathering(apply))


def apply(file: Files, flags: ApplyFlags) -> None:
    """Make tenants be as files declare them; running it again changes nothing."""
    if flags.prune and not (flags.yes or flags.dry_run or sys.stdin.isatty()):
        raise typer.BadParameter("removes mail and can't ask here; add --yes", param_hint="--prune")
    wanted = _read(file)
    sys.exit(asyncio.run(_Run(wanted, flags).through()))


def _read(files: Sequence[Path]) -> "list[WantedTenant]":
    from service.cli.applying.documents import DeclarationError, documents
    from service.cli.applying.reading import wanted

    try:
        return wanted(documents(files))
    except DeclarationError as error:
        for mistake in error.mistakes:
            typer.echo(f"poplar: {mistake}", err=True)
        raise typer.Exit(2) from None


@dataclass(frozen=True, slots=True)
class _Run:
    wanted: "Sequence[WantedTenant]"
    flags: ApplyFlags

    async def through(self) -> int:
        """The exit code. Raises Refusal."""
        from service.app.applying import applier
        from service.cli.tenancy_running import user
        from service.settings import load_settings

        async with applier(load_settings(), f"apply:{user()}") as hand:
            wishes = await hand.wishes(self.wanted, self.flags.prune, self.flags.reset_passwords)
            plans = [await hand.plan(tenant, wishes) for tenant in self.wanted]
            self._show(plans)
            if self.flags.dry_run or not any(plan.steps for plan in plans):
                return DIFFERENT if any(plan.steps for plan in plans) else 0
            self._ask(plans)
            return await self._made(hand, wishes, plans)

    def _show(self, plans: "Sequence[Plan]") -> None:
        from service.cli.applying.showing import rows, show, summed

        if not self.flags.as_json:
            show(plans)
            typer.echo(summed(plans, done=False))
        elif self.flags.dry_run or not any(plan.steps for plan in plans):
            typer.echo(json.dumps(rows(plans), indent=2, ensure_ascii=False))

    def _ask(self, plans: "Sequence[Plan]") -> None:
        if not self.flags.yes and any(plan.removals() for plan in plans):
            typer.confirm("Remove what is marked with - ?", abort=True, err=self.flags.as_json)

    async def _made(self, hand: "Applier", wishes: "Wishes", plans: "Sequence[Plan]") -> int:
        """Tenant after tenant; one that is refused doesn't keep the others from being made."""
        from service.cli.applying.showing import rows, summed
        from service.cli.failing import explained
        from service.model.refusal import Refusal

        safe, done, code = await hand.ready(plans), list["Plan"](), 0
        for tenant, plan in zip(self.wanted, plans, strict=True):
            try:
                done.append(await hand.apply(tenant, wishes, plan, safe))
            except Refusal as refusal:
                code, lines = explained(refusal)
                typer.echo(f"poplar: tenant {tenant.name} is left as it was: {' '.join(lines)}", err=True)
        typer.echo(
            json.dumps(rows(done), indent=2, ensure_ascii=False) if self.flags.as_json else summed(done, done=True)
        )
        return code
