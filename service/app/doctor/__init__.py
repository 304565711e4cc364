"""`poplar doctor`: looks at every dependency and says in plain words what is wrong and what to do.

Owns the round of checks. Each has a file; none raises, and none changes anything but a probe it takes away again.
"""

from service.app.doctor.findings import Finding
from service.app.doctor.round import examine

__all__ = ["Finding", "examine"]
