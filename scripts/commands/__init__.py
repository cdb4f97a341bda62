"""The commands for people: each module is one command, run through make, or by hand as python -m commands.NAME."""
