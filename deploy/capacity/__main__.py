"""What an installation needs: `make capacity ARGS="--maildrops 250000 --polls-per-hour 6"`.

Owns the command line. Without options it shows a million maildrops; `--page` puts the tables of
deploy/decisions/capacity.md in order instead.
"""

import argparse
import sys
from dataclasses import fields

from deploy.capacity.showing import PAGE, page, report
from deploy.capacity.traffic import Traffic


def main() -> None:
    """Print the report, or write the page."""
    parser = argparse.ArgumentParser(prog="make capacity", description=__doc__.partition("\n")[0])
    for each in fields(Traffic):
        option = f"--{each.name.replace('_', '-')}"
        parser.add_argument(
            option, type=float, default=each.default, metavar="N", help=f"{each.metadata['meaning']} ({each.default:g})"
        )
    parser.add_argument("--page", action="store_true", help="write the tables of deploy/decisions/capacity.md")
    options = vars(parser.parse_args())
    if options.pop("page"):
        PAGE.write_text(page(PAGE.read_text("utf-8")), "utf-8")
        return
    try:
        sys.stdout.write(report(Traffic(**options)))
    except ValueError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
