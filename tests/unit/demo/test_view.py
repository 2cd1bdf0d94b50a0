from dataclasses import replace

import pytest
from rich.console import Console, RenderableType

from router.demo.picture import Agreement, Measured, Picture, Row
from router.demo.view import EVENTS_SHOWN, agreement_summary, line, measured_table, screen

V1 = Row("v1", 300, 0, 75.0, 0.95, 0.949, 316, 0.0031, 0.0062, 0, None)
V2 = Row("v2", 16, 2, 5.0, 0.05, 0.051, 316, None, None, 290, 0.0071)
PICTURE = Picture(
    12.3, "progressing", "step 2 of 4", "the hold", (V1, V2), 0.9312, 290, ("first", "second"), 2
)


def text_of(renderable: RenderableType, width: int = 120) -> str:
    console = Console(width=width, force_terminal=False)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


@pytest.mark.parametrize("width", [80, 120])
def test_the_screen_shows_all_there_is(width: int) -> None:
    text = text_of(screen(PICTURE, "router demo canary", 0.934, ["roll back so"]), width)
    for shown in (
        *("router demo canary", "12 s  progressing  step 2 of 4", "waits for the hold", " v1 ", " v2 "),
        *("95.0%", "94.9%", "3.1", "6.2", "290", "75", "7.1", "first", "second", "roll back so"),
        "93.1% of 290 pairs decide alike (known of these models: 93.4% ±2.9)",
    ):
        assert shown in text
    assert "…" not in text


def test_the_screen_does_not_change_its_height() -> None:
    early = replace(PICTURE, agreement=None, events=())
    late = replace(PICTURE, events=("x" * 300,) * EVENTS_SHOWN)
    heights = {len(text_of(screen(one, "", 0.934, []), 80).splitlines()) for one in (early, PICTURE, late)}
    assert len(heights) == 1


def test_without_pairs_there_is_no_agreement() -> None:
    bare = replace(PICTURE, agreement=None)
    assert "no pairs yet" in text_of(screen(bare, "", 0.934, []))
    assert "alike" not in line(bare)


def test_one_line_says_the_same() -> None:
    assert line(PICTURE) == (
        " 12.3 s  v1 set  95.0% got  94.9% p50   3.1 ms   "
        "v2 set   5.0% got   5.1% p50     - ms 2 errors  alike 93.1%"
    )


def test_a_share_nobody_asked_for_yet_is_not_measured() -> None:
    fresh = replace(V1, counted=0, share_measured=0.0)
    assert "got      -" in line(replace(PICTURE, rows=(fresh,)))


def test_a_version_that_gets_only_copies_is_shown_by_them() -> None:
    shadow = replace(V2, share_set=0.0, failed=0)
    assert line(replace(PICTURE, rows=(shadow,), agreement=None)).split() == (
        ["12.3", "s", "v2", "290", "copies", "p50", "7.1", "ms"]
    )


def test_the_agreement_is_held_against_what_is_known() -> None:
    assert agreement_summary(Agreement(1010, 1000, 931), 0.934) == (
        "93.1% of 1000 pairs decide alike (known of these models: 93.4% ±1.5)"
    )
    assert agreement_summary(Agreement(0, 0, 0), 0.934) == "no pairs were compared"


def test_shares_are_listed_as_set_and_measured() -> None:
    header, only = measured_table([Measured(0.25, 400, 0.2475), Measured(0.5, 0, 0.0)], "v2")
    assert header.split()[:6] == ["share", "of", "v2", "set", "measured", "requests"]
    assert only.split() == ["25.0%", "24.8%", "400", "±4.2"]
    assert len(header) == len(only)
