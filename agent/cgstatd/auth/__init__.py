"""Who may ask: tokens on disk, as the running agent sees them, and the addresses that guess."""
