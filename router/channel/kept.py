"""A frame in a file: what a process says to one that may not have started yet."""

import os
from contextlib import suppress
from pathlib import Path

from router.channel.frame import Frame
from router.channel.link import FrameReader, encode


def keep(path: Path, frame: Frame) -> None:
    """Puts the frame in the place of what is there, as a whole or not at all. Raises OSError.

    It survives the death of processes. Nothing is synced: what ends the machine ends those who would read it.
    """
    new = path.with_name(path.name + ".new")
    try:
        new.write_bytes(encode(frame))
        os.replace(new, path)
    except OSError:
        with suppress(OSError):
            new.unlink()
        raise


def kept(path: Path) -> Frame:
    """What is there. Raises OSError, FileNotFoundError too, and ValueError where it is not one whole frame."""
    frames = FrameReader().feed(path.read_bytes())
    if len(frames) != 1:
        raise ValueError(f"{path} holds {len(frames)} whole frames and not one")
    return frames[0]
