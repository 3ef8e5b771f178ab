"""Writing a batch: one transaction with its positions, rows and dead letters."""
