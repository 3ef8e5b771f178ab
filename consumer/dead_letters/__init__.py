"""Dead letters as operators work on them: finding, reading, redriving, correcting, closing, relaying and blanking.

Parking belongs to a batch, so it is in `consumer/sink/parking.py`. A running consumer redrives name conflicts without
an operator: `consumer/dead_letters/name_conflicts.py`.
"""
