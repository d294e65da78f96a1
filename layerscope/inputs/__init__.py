"""Reads texts from a user's files: folders, text, JSON, JSON Lines, CSV, Parquet, also compressed with gzip.

The command line and the service use the same readers. They stream: no file is held in memory as a whole.
"""

from layerscope.inputs.fields import FieldNames as FieldNames
from layerscope.inputs.reader import InputReader as InputReader
from layerscope.inputs.records import TextRecord as TextRecord
from layerscope.inputs.records import UnreadableInputError as UnreadableInputError
from layerscope.inputs.records import UnusableRow as UnusableRow
from layerscope.inputs.report import InputReport as InputReport
from layerscope.inputs.sources import FoundSources as FoundSources
from layerscope.inputs.sources import InputSource as InputSource
from layerscope.inputs.sources import find_sources as find_sources
from layerscope.inputs.sources import uploaded as uploaded
