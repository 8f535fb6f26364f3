"""One module a route, and the table of all of them; what their handlers need."""
