"""``cgstatd doctor``: what can be read on this host, what is missing, what that costs and what to do about it."""
