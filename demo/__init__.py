"""A made-up day of a video product on one machine: embedded servers, events, and a check by independent code."""
