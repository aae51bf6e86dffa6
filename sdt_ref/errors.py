"""The errors that a user can cause; each message names what was wrong, expected, found, and what to do."""


class SdtError(ValueError):
    """Base class of every error that a user can cause."""


class WeightsError(SdtError):
    """A weights file or checkpoint that cannot be read, or that is not this network."""


class ConfigError(SdtError):
    """A setting that is missing, unknown or out of range."""


class ImageError(SdtError):
    """A picture or a data set of pictures that cannot be read."""


class InputError(SdtError):
    """An array that the network cannot take: rank, channels, size, type or values."""


class EventsError(SdtError):
    """An event list that is not canonical."""
