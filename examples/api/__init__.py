"""An HTTP API over the read queries, to copy from. Run it as the README says."""
