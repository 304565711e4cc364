"""What Poplar shows of itself: metrics, logs, health. Never a password, token or message text (G17)."""
