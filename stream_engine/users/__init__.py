"""What the engine knows of one user: a value, and how an interaction changes it."""
