"""What is raised for a file that is not as it must be."""


class Refused(ValueError):
    """What of a file is not as it must be; `opened` adds which file."""
