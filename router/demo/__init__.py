"""The demo: two versions of a small real classifier, visible traffic, the router between. Floor 5."""
