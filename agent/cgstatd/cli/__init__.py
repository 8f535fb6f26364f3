"""The command line: which commands there are, and what each does. Everything else is imported when it is run."""
