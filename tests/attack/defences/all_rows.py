"""The whole table."""

from typing import Final

from tests.attack.defences.answered import ANSWERED
from tests.attack.defences.asked import ASKED
from tests.attack.defences.table import Defence
from tests.attack.defences.told import TOLD
from tests.attack.defences.written import WRITTEN

DEFENCES: Final[tuple[Defence, ...]] = (*TOLD, *ASKED, *ANSWERED, *WRITTEN)
