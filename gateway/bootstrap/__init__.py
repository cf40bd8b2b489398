"""Where everything is put together: the only room that knows every concrete class and reads configuration files.

`files` reads what is on disk, `house` makes one Live of directory and profiles, `stores` opens the consent store,
`planes` builds the two applications, `serving` runs them. Called by the command line.
"""

from gateway.bootstrap.files import (
    offers_of,
    read_case_files,
    read_directory,
    read_profiles,
    read_shelf,
    write_private,
)
from gateway.bootstrap.planes import Planes, build, ledger_file, with_ledger
from gateway.bootstrap.serving import serve

__all__ = [
    "Planes",
    "build",
    "ledger_file",
    "offers_of",
    "read_case_files",
    "read_directory",
    "read_profiles",
    "read_shelf",
    "serve",
    "with_ledger",
    "write_private",
]
