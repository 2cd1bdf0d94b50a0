from router.shares import SHARE_PARTS, share_parts
from router.spec import parse_share


def test_every_part_of_a_share_can_be_written_both_ways() -> None:
    for parts in range(SHARE_PARTS + 1):
        assert share_parts(parse_share(f"{parts / 100}%")) == parts
        assert share_parts(parse_share(parts / SHARE_PARTS)) == parts
