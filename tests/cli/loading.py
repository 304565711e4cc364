"""Poplar that says at its end what it loaded: its own packages and the libraries, as the last line, in JSON.

It is run in place of `service`.
"""

import atexit
import json
import sys

from service.cli.main import main


def _tell() -> None:
    names = {name.partition(".")[0] for name in sys.modules}
    ours = {".".join(name.split(".")[:3]) for name in sys.modules if name.startswith("service.")}
    sys.stdout.write(json.dumps(sorted(names | ours)) + "\n")


if __name__ == "__main__":
    atexit.register(_tell)
    main()
