"""What the engine knows of items: statistics, and the view every worker holds."""
