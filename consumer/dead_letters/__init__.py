"""Dead letters as operators work on them: found, read, redriven, corrected, closed, relayed, and in the end blanked.

Parking, which belongs to a batch, is in `consumer/sink/parking.py`; the redrive of name conflicts, which a running
consumer does by itself, in `consumer/dead_letters/name_conflicts.py`.
"""
