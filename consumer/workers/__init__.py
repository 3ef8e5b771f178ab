"""Several consumers on one machine: processes of one group, kept running by a supervisor that answers for all."""
