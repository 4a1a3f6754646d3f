"""The names that programs written for CRIU's Python module import."""
from fermata import images
from fermata.proto import rpc_pb2 as rpc

from .criu import CRIUException, CRIUExceptionExternal, CRIUExceptionInternal, criu

__all__ = ["CRIUException", "CRIUExceptionExternal", "CRIUExceptionInternal", "criu", "images", "rpc"]
__version__ = "4.2"
