"""Which bucket a request falls into. Pure: the same key always falls into the same bucket.

Floor 2. With a key the bucket is blake2b(salt, key) mod SHARE_PARTS, so that raising a share moves keys only
from the stable version to the candidate, and another candidate draws anew.
"""

from hashlib import blake2b

from router.shares import SHARE_PARTS


def salt_of(deployment: str, candidate: str) -> bytes:
    """The salt, 16 bytes, that makes the draws of different rollouts independent of each other."""
    return blake2b(f"{deployment}\0{candidate}".encode(), digest_size=16).digest()


def bucket(salt: bytes, key: bytes) -> int:
    """The key's bucket, in [0, SHARE_PARTS). The salt has at most 16 bytes (RFC 7693 §2.8).

    A 64-bit digest leaves a bias below 10^-15 in the modulus.
    """
    return int.from_bytes(blake2b(key, digest_size=8, salt=salt).digest(), "big") % SHARE_PARTS
