"""Pure encoders: figures to bytes. The only place where an unknown value becomes 0."""
