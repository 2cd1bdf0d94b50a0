"""What people may order of a deployment, rollback apart: each is one move, recorded first. Floor 4."""

from abc import ABC, abstractmethod
from collections.abc import Callable

from router.control.terms import Answer
from router.rollout import ramp
from router.rollout.course import Course
from router.rollout.phase import Event
from router.rollout.state import RolloutState
from router.rollout.verdict import Ruling


class Commands(ABC):
    """Who acts, and why, goes into the history; `seen` is the generation on whose sight it is ordered.

    All raise Refused (400, 404, 409, 412), and JournalError when the move can't be written down.
    """

    @abstractmethod
    def rulings(self, name: str) -> tuple[Ruling, ...]:
        """What the gates say of a deployment now."""

    @abstractmethod
    async def _command(
        self,
        name: str,
        event: Event,
        move: Callable[[Course, RolloutState], RolloutState],
        who: str,
        why: str,
        seen: int | None,
    ) -> Answer:
        """Makes the move and answers when it is in force."""

    async def promote(self, name: str, who: str, why: str = "", seen: int | None = None) -> Answer:
        """The next step now."""
        return await self._command(name, Event.PROMOTE, ramp.promote, who, why, seen)

    async def finish(self, name: str, who: str, why: str = "", seen: int | None = None) -> Answer:
        """100 % now, and the soak."""
        return await self._command(name, Event.PROMOTE, ramp.finish, who, why, seen)

    async def pause(self, name: str, who: str, why: str = "", seen: int | None = None) -> Answer:
        """Nothing moves by itself any more."""
        return await self._command(name, Event.PAUSE, ramp.pause, who, why, seen)

    async def resume(self, name: str, who: str, why: str = "", seen: int | None = None) -> Answer:
        """Goes on where it was."""
        return await self._command(name, Event.RESUME, ramp.resume, who, why, seen)

    async def restart(self, name: str, who: str, why: str = "", seen: int | None = None) -> Answer:
        """The first step again."""
        return await self._command(name, Event.RESTART, ramp.restart, who, why, seen)

    async def share(self, name: str, parts: int, who: str, why: str = "", seen: int | None = None) -> Answer:
        """The candidate's share by hand, of SHARE_PARTS."""

        def move(course: Course, state: RolloutState) -> RolloutState:
            return ramp.share(course, state, parts)

        return await self._command(name, Event.SHARE, move, who, why, seen)

    async def switch(
        self, name: str, colour: str, who: str, why: str = "", seen: int | None = None
    ) -> Answer:
        """Begins to make a colour live; not one that a gate fails already."""

        def move(course: Course, state: RolloutState) -> RolloutState:
            return ramp.switch(course, state, colour, self.rulings(name))

        return await self._command(name, Event.SWITCH, move, who, why, seen)
