"""Who may ask: tokens, cookies, client certificates, origins."""
