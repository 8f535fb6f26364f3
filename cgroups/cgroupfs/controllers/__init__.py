"""One module per controller: a frozen record, and how each interface version fills it."""
