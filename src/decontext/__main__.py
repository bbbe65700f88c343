"""`python -m decontext` is the command line."""

from decontext.cli import main

main()
