"""``python -m payhub_core``: the command line, where the script ``payhub`` is not on the path."""

from payhub_core.cli import main

main()
