"""The root of every expected error."""


class OnlookerError(Exception):
    """An error that the user can do something about; the text says what happened and what to do.

    Anything else that is raised is a defect of Onlooker's own.
    """
