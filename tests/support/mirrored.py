"""One client of a deployment whose requests are all copied to v2, on wires."""

from typing import cast

from router.channel import Capture, FrameReader, Half, Link
from router.dataplane.capture import RecorderLink
from router.pairs.halves import opened
from router.patterns.plan import Copies, Plan
from tests.support.wires import DataPlane, Wire, settle
from tests.support.workers import deployment

V1, V2 = "http://192.0.2.1:1", "http://192.0.2.2:2"
GET = b"GET /x HTTP/1.1\r\nhost: h\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Recorder:
    """The other end of a worker's link to its recorder."""

    connected = True
    backlog = 0

    def __init__(self, link: RecorderLink) -> None:
        self._link = link
        self._reader = FrameReader()
        self._captures: list[Capture] = []
        link._link = cast(Link, self)

    def write(self, data: bytes) -> None:
        self._captures += [opened(half) for half in self._reader.feed(data) if isinstance(half, Half)]

    @property
    def captures(self) -> list[Capture]:
        """All up to now, those as well that would have gathered for a moment longer."""
        self._link._flush()
        return self._captures


class Mirrored:
    """One client of a deployment whose requests are all copied to v2."""

    def __init__(self, plan: Plan | None = None, *, max_in_flight: int = 8) -> None:
        self.copies = Copies(10_000, {"v1": ("v2",), "v2": ("v1",)}, 5.0, max_in_flight, 100)
        self.plane = DataPlane(deployment({"v1": V1, "v2": V2}, plan or Plan("v1", copies=self.copies)))
        self.recorder = Recorder(self.plane.engine.recorder)
        self.client, self.wire = self.plane.client()

    async def ask(self, data: bytes = GET) -> None:
        self.client.data_received(data)
        await settle()

    def sent_to(self, role: str) -> list[Wire]:
        shadow = role == "shadow"
        return [
            wire for wire in self.plane.wires if wire.sent and (b"x-router-shadow" in wire.sent) is shadow
        ]

    async def answer(self, role: str, data: bytes = OK) -> None:
        self.sent_to(role)[-1].protocol.data_received(data)
        await settle()

    @property
    def halves(self) -> list[tuple[str, str, int, str]]:
        return [
            (each.role, each.answer.version, each.answer.status, each.answer.error)
            for each in self.recorder.captures
        ]
