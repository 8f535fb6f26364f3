"""The guest's tests need the guest: pytest on the host leaves them alone (see run.py)."""

collect_ignore = ["guest"]
