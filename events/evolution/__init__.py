"""What a change of a JSON Schema means for writers and readers, decided from the schemas alone.

`inclusion` answers whether every document that one schema accepts is accepted by another. `compatibility` asks that for
each type, in both directions, and `contracts` reads the schemas from files.
"""

from .compatibility import Break, Compatibility, Verdict, compare
from .contracts import Contract, UnreadableContractError, read_contract
from .sentences import Direction

__all__ = [
    "Break",
    "Compatibility",
    "Contract",
    "Direction",
    "UnreadableContractError",
    "Verdict",
    "compare",
    "read_contract",
]
