"""Compiles ../proto into fermata/proto while the package is built; needs protoc(1)."""
import shutil
import subprocess
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent.parent


class BuildWithMessages(build_py):
    def run(self):
        super().run()
        out = Path(self.build_lib).absolute() / "fermata" / "proto"
        out.mkdir(parents=True, exist_ok=True)
        protoc = shutil.which("protoc")
        if not protoc:
            raise SystemExit("protoc is needed to build this (Debian: protobuf-compiler)")
        sources = sorted(str(p) for p in (ROOT / "proto").glob("*.proto"))
        subprocess.run(["/bin/sh", ROOT / "tools" / "python-proto", protoc, str(out), *sources], check=True)


setup(cmdclass={"build_py": BuildWithMessages})
