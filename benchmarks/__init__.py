"""Side by side with peers, in one run. `make bench` runs them all; each prints a table."""
