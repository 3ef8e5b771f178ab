"""A day of a video product on one machine: embedded services, made-up events, a check that shares no code with ours."""
