"""Who runs the cycles: a controller that leads, and what one that stands by does instead."""

from collections.abc import Callable

from autoscaler.contracts import Store
from autoscaler.service.controller import Controller, Cycle
from autoscaler.service.duty import Duty
from autoscaler.service.leader import Leadership


class Shift:
    """Runs a cycle while this controller leads, which one without ``leadership`` always does."""

    def __init__(
        self,
        duty: Duty,
        controller: Controller,
        store_of_term: Callable[[int], Store],
        leadership: Leadership | None,
    ) -> None:
        self._duty = duty
        self._controller = controller
        self._store_of_term = store_of_term
        self._leadership = leadership
        self._term: int | None = None

    @property
    def leads(self) -> bool:
        """Whether this controller leads."""
        return self._leadership is None or self._leadership.term is not None

    def cycle(self) -> Cycle | None:
        """Run one cycle, and raise what it raises; ``None`` when this controller stands by."""
        if self._leadership is None:
            return self._duty.cycle()
        term = self._leadership.term
        if term is None:
            self._duty.stand_by(self._leadership.words, store_fails=self._leadership.problem is not None)
            return None
        if term != self._term:
            self._controller.lead(self._store_of_term(term))
            self._term = term
        return self._duty.cycle()
