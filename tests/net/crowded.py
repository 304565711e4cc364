"""Paces of the event loop at which there is as little room as a test wants."""

from service.mail.pace import Pace, Whose


class Crowded(Pace):
    """A pace without room, until it is `left`."""

    def __init__(self, *, full: bool = True) -> None:
        super().__init__(4)
        self.full = full

    @property
    def full(self) -> bool:
        """Whether whoever asks is told to wait, and whoever comes asks."""
        return self._full

    @full.setter
    def full(self, full: bool) -> None:
        self._full = full
        if full:
            self.unasked = 0.0

    def may_begin(self, whose: Whose) -> bool:
        return not self.full and super().may_begin(whose)

    def _next_round(self) -> None:
        if not self.full:
            super()._next_round()

    def leave(self) -> None:
        self.full = False
        self._next_round()


def in_company(pace: Pace) -> Pace:
    """Two tenants had steps at any time before now: its rounds are short."""
    pace._company_until = float("inf")
    return pace
