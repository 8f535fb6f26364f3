"""The composition: start, listen, reload, watchdog, own cost, end."""
