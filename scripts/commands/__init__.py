"""What a person types: each module is one command, reached through make. Run by hand: python -m commands.NAME."""
