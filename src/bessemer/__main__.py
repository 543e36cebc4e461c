"""`python -m bessemer`, which torchrun needs."""

from bessemer.cli import main

main()
