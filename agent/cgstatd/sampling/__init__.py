"""Container -> record, in one thread: counters become figures here. Synchronous, and no encoder."""
