"""Several consumers on one machine: processes of one group, started by a supervisor that reports for all of them."""
