"""The HTTP service: routes, answers and the stream. Reads no kernel file itself."""
