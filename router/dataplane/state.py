"""The states of an exchange.

    NEW ──► CONNECTING ──connection──► SENDING ──head of the answer──► ANSWERING ──end──► DONE
     │          ▲  └─ no connection ─┐    │                              └─101─► SWITCHED ──► DONE
     │          ├──── retry, fallback ◄───┘ lost, late or 5xx before a byte went to the client
     └► QUEUED ─┘ its turn; also for a fallback

A client that goes away, and a fault without a remedy, lead from every state to DONE.
"""

from enum import IntEnum
from typing import Final


class State(IntEnum):
    """See the diagram above."""

    NEW = 0
    QUEUED = 1
    CONNECTING = 2
    SENDING = 3
    ANSWERING = 4
    SWITCHED = 5
    DONE = 6


NEW: Final[State] = State.NEW
QUEUED: Final[State] = State.QUEUED
CONNECTING: Final[State] = State.CONNECTING
SENDING: Final[State] = State.SENDING
ANSWERING: Final[State] = State.ANSWERING
SWITCHED: Final[State] = State.SWITCHED
DONE: Final[State] = State.DONE
"""The members as module constants, which are read faster."""
