"""The one exception that is meant to be read by the person who runs the workflow."""


class UserError(Exception):
    """Something the user can put right. The message says what is wrong, where, and what to write instead."""
