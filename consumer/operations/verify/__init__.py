"""Compare the tables with what the topics say they must hold."""
