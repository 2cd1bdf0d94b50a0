"""Mixed traffic for a long time: `make soak`."""
