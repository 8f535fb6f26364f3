"""What every room may use and what uses no room: text from outside, errors of the configuration, log lines."""
