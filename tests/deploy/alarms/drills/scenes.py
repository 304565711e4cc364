"""Scenes around a front end that has the fault.

Owns what of a runbook stands for what here.
"""

from collections.abc import Sequence

from tests.deploy.alarms.drill import Round, Scene
from tests.system.front_end import FrontEnd


def scene_of(front: FrontEnd, *others: FrontEnd, inject: Round, mend: Round, rounds: Sequence[Round] = ()) -> Scene:
    """Commands run with the settings of `front`; all are scraped."""
    config = front.command.log.parent / "poplar.yaml"
    words = {
        "127.0.0.1:8080": str(front.ops),
        "os.kill(1,": f"os.kill({front.pid},",
        "/proc/1/": f"/proc/{front.pid}/",
    }
    return Scene([each.ops for each in (front, *others)], config, inject, mend, rounds, words)
