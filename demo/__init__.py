"""A day of a video product on one machine: embedded services, made-up events, and a check that needs none of our code."""
