"""Rare events: counted by name and labels, and each declared once."""

from router.telemetry.events import EVENTS, RETRIES, EventCounter


def test_counts_add_up_by_name_and_labels() -> None:
    events = EventCounter()
    events.add(RETRIES, "loan", "v1")
    events.add(RETRIES, "loan", "v1", by=2)
    events.add(RETRIES, "loan", "v2")
    assert events.counts == {
        ("router_retries_total", "loan", "v1"): 3,
        ("router_retries_total", "loan", "v2"): 1,
    }


def test_each_event_is_one_counter_with_a_sentence() -> None:
    assert len({event.name for event in EVENTS}) == len(EVENTS)
    for event in EVENTS:
        assert event.name.startswith("router_")
        assert event.name.endswith("_total")
        assert event.labels
        assert event.says.endswith(".")
