"""Events in Kafka become rows in PostgreSQL, exactly once in effect.

The data path, in order: `kafka_source` polls, `decode` gives each record its verdict, `fold` merges a batch's events in
memory by the rules of `projections`, `plan` turns the fold into one statement a table, `writer` runs them in one
transaction behind the fence of `offsets`, `deliver` sees it through failures. `loop` tells the story; `app` wires it.
"""
