"""Training: the loop, what it shows, how it is stopped, and what can be known before it starts."""
