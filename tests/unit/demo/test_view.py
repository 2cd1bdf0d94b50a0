from rich.console import Console, RenderableType

from router.demo.picture import Agreement, Measured, Picture, Row
from router.demo.view import agreement_text, line, measured_table, screen

V1 = Row("v1", 300, 0, 75.0, 0.95, 0.949, 0.0031, 0.0062, 0)
V2 = Row("v2", 16, 2, 5.0, 0.05, 0.051, None, None, 290)
PICTURE = Picture(12.3, "progressing", "step 2 of 4", (V1, V2), 0.9312, ("first", "second"))


def text_of(renderable: RenderableType) -> str:
    console = Console(width=120, record=True, file=None, quiet=False, force_terminal=False)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


def test_the_screen_shows_all_there_is() -> None:
    text = text_of(screen(PICTURE, "router demo canary", 0.934, ["roll back so"]))
    for shown in ("router demo canary", "step 2 of 4  (12 s)", "95.0 %", "94.9 %", "3.1", "6.2", "290", "75",
                  "93.1 % of pairs decide alike (known: 93.4 %)", "first", "second", "roll back so"):  # fmt: skip
        assert shown in text


def test_without_pairs_there_is_no_agreement() -> None:
    bare = Picture(1.0, "steady", "", (V1,), None, ())
    assert "decide alike" not in text_of(screen(bare, "", 0.934, []))
    assert "agreement" not in line(bare)


def test_one_line_says_the_same() -> None:
    assert line(PICTURE) == (
        " 12.3 s  progressing  "
        "v1: 300 requests, 94.9 % (set 95.0 %), p95 6.2 ms, 0 errors;  "
        "v2: 16 requests, 5.1 % (set 5.0 %), p95 - ms, 2 errors;  agreement 93.1 %"
    )


def test_the_agreement_is_held_against_what_is_known() -> None:
    assert agreement_text(Agreement(1010, 1000, 931), 0.934) == (
        "93.1 % of 1000 pairs decide alike (known: 93.4 %, of so many within 1.5 points)"
    )
    assert agreement_text(Agreement(0, 0, 0), 0.934) == "no pairs were compared"


def test_shares_are_listed_as_set_and_measured() -> None:
    header, only = measured_table([Measured(0.25, 400, 0.2475), Measured(0.5, 0, 0.0)], "v2")
    assert header.split() == ["share", "of", "v2", "set", "measured", "requests"]
    assert only.split() == ["25.0", "%", "24.8", "%", "400"]
    assert header.index("set") + 3 == only.index("%") + 1
