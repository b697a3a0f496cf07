"""Every error that is the user's to mend; the command line turns each into one message and exit status 1.

A message says what was found and where, what was expected, and what to do.
"""

from collections.abc import Iterator
from contextlib import contextmanager


class VarscoreError(Exception):
    """Base of all errors varscore raises on purpose."""


class VcfError(VarscoreError):
    """The variant file is missing, unreadable, truncated, or not a VCF."""


class FastaError(VarscoreError):
    """The reference is missing, unreadable, or holds none of the contigs asked for."""


class RegionError(VarscoreError):
    """A region or a regions file cannot be understood."""


class ModelError(VarscoreError):
    """No such model, or its description is wrong."""


class WeightsError(VarscoreError):
    """A weights file is missing, unreadable, or does not fit the architecture."""


class DownloadError(VarscoreError):
    """A file could not be fetched, or what came is not what was published."""


class TrackError(VarscoreError):
    """A track table is wrong, or a track selection matches nothing."""


class DeviceError(VarscoreError):
    """The device asked for is not there."""


class OutputError(VarscoreError):
    """The output cannot be written, or is there already."""


class ScoreError(VarscoreError):
    """The network gave something that is no score, or parts of a run could not be computed."""


class TableError(VarscoreError):
    """A table that was given is not there, or not what is needed."""


class ExtraError(VarscoreError):
    """A package is needed that is not part of the plain installation."""


class ClusterError(VarscoreError):
    """Dask is not installed, or there is no such cluster."""


class OptionError(VarscoreError, ValueError):
    """An option is outside its range, or does not go with another; the command line calls that wrong usage."""


@contextmanager
def needs(extra: str, what: str) -> Iterator[None]:
    """To import optional packages in: ExtraError, naming `varscore[extra]`, where one is not installed.

    what: the command or feature that needs it.
    """
    try:
        yield
    except ImportError as error:
        raise ExtraError(
            f"{what} needs {error.name or 'packages that are not installed'}: "
            f"install it with: pip install 'varscore[{extra}]'"
        ) from error
