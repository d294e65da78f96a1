"""The client of a Layerscope service. It needs httpx and pydantic only."""

from layerscope.client import errors as errors
from layerscope.client.client import Client as Client
from layerscope.client.job import Job as Job
