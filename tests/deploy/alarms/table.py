"""Every alert's drill.

Owns the order: those whose faults are told apart soonest come first.
"""

from collections.abc import Mapping

from tests.deploy.alarms.drill import Drill
from tests.deploy.alarms.drills import logins, room, sweeping, systems, upkeep

DRILLS: Mapping[str, Drill] = {**systems.DRILLS, **room.DRILLS, **logins.DRILLS, **upkeep.DRILLS, **sweeping.DRILLS}
