"""Checkpoint and restore from Python.

fermata.images  read and write images; see images.load
fermata.rpc     ask the tool (or its service) to dump and restore; see rpc.Client
fermata.proto   the messages of images and of the protocol, as protoc makes them
"""
__version__ = "4.2"
