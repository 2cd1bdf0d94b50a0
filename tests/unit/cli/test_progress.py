import pytest

from router.cli.progress import bytes_bar, requests_bar, share_bar


@pytest.mark.parametrize("bar", [bytes_bar, share_bar, requests_bar])
def test_where_there_is_no_terminal_there_is_no_bar(bar: object, capfd: pytest.CaptureFixture[str]) -> None:
    with bar() as progress:  # type: ignore[operator]
        progress.advance(progress.add_task("x", total=10, note=""))
    assert capfd.readouterr() == ("", "")


def test_a_bar_of_requests_shows_rate_and_note() -> None:
    progress = requests_bar()
    progress.disable = False
    task = progress.add_task("", total=10, note="98% agree")
    progress.advance(task, 5)
    with progress.console.capture() as capture:
        progress.console.print(progress.get_renderable())
    assert "5/10" in capture.get()
    assert "98% agree" in capture.get()
