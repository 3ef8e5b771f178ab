"""Parts of pages that are made from the code. A test fails until `make docs` has written them."""

import re
from pathlib import Path

DOCS = Path(__file__).parent


def part_of(page: str, name: str) -> str:
    """What stands between `<!-- name -->` and `<!-- /name -->` on a page of docs/."""
    found: str = _pattern(name).findall((DOCS / page).read_text())[0]
    return found


def write_part(page: str, name: str, text: str) -> None:
    """Replace what stands there."""
    path = DOCS / page
    path.write_text(_pattern(name).sub(lambda _: text, path.read_text()))


def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(f"(?s)(?<=<!-- {name} -->\n).*?(?=\n<!-- /{name} -->)")
