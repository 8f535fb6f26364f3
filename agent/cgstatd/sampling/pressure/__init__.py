"""What containers wait for, and why: one look at their counters, another one later, and what follows from the two."""
