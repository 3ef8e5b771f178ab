"""From the bytes of records to the rows of statements: pure functions, without I/O and without a clock."""
