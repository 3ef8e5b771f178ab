"""What a change of a JSON Schema means for writers and readers. It is decided from the schemas alone.

`contracts` reads the schemas from files. `inclusion` decides whether one schema accepts every document that another one
accepts. `compatibility` asks this for each type of event, in both directions, and says what breaks.
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
