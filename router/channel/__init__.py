"""The frames between the processes of one router, and the link they travel on.

Floor 1. A frame is a 4-byte big-endian length and a msgpack map tagged with its type. Counts are cumulative
since the sender started, so a lost or repeated frame does no harm.

    controller -> worker     Start, Certificates, Publish, EndpointsDown, LogLevel, Drain
    worker -> controller     Applied, Tally
    worker -> recorder       Half; Capture is what the recorder makes of it
    recorder -> worker       Taken
    controller -> recorder   RecorderSettings, Erase, LogLevel, Drain
    recorder -> controller   RecorderTally, Erasing
    worker -> new controller Orphan (after the old one died; with the listening sockets attached)

Tally and Ended are also kept in files, for a controller that has not started yet (`keep`, `kept`).
"""

from router.channel.frame import (
    Frame,
)
from router.channel.kept import (
    keep,
    kept,
)
from router.channel.link import (
    MAX_FRAME,
    AnyFrame,
    FrameReader,
    Link,
    encode,
)
from router.channel.recording import (
    Capture,
    CapturedAnswer,
    CapturedRequest,
    Erase,
    Erasing,
    FieldTally,
    Half,
    Message,
    PairDetail,
    PairTally,
    RecorderSettings,
    RecorderTally,
    ScoreSums,
    SinkTally,
    Taken,
    ValueSums,
)
from router.channel.workers import (
    Applied,
    Certificates,
    Drain,
    Ended,
    EndpointsDown,
    Histogram,
    Listener,
    LogLevel,
    Orphan,
    Publish,
    SeriesTally,
    Start,
    Tally,
)

__all__ = [
    "MAX_FRAME",
    "AnyFrame",
    "Applied",
    "Capture",
    "CapturedAnswer",
    "CapturedRequest",
    "Certificates",
    "Drain",
    "Ended",
    "EndpointsDown",
    "Erase",
    "Erasing",
    "FieldTally",
    "Frame",
    "FrameReader",
    "Half",
    "Histogram",
    "Link",
    "Listener",
    "LogLevel",
    "Message",
    "Orphan",
    "PairDetail",
    "PairTally",
    "Publish",
    "RecorderSettings",
    "RecorderTally",
    "ScoreSums",
    "SeriesTally",
    "SinkTally",
    "Start",
    "Taken",
    "Tally",
    "ValueSums",
    "encode",
    "keep",
    "kept",
]
