"""What went wrong with a container, told to one HTTP server (a webhook), whether a client listens or not."""
