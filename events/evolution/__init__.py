"""What a change of a JSON Schema does to those who write and read: decided from the schemas alone.

`inclusion` asks whether every document that one schema lets through passes another, `compatibility` puts that question
for each type, both ways, and `contracts` reads the schemas from files.
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
