"""A comparison of policies for people: one HTML file that needs nothing else, no network either."""
