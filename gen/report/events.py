"""Scalars and images for TensorBoard, without TensorFlow and without a thread, whose errors nobody would see."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from gen.errors import InputError


class Events:
    """The event files of a run. A method raises OSError when it cannot write; the next one begins a new file.

    TensorBoard reads all files of a folder, and each until a record that is cut.
    """

    def __init__(self, folder: Path) -> None:
        """Opens the first file. Raises InputError when the package tensorboard is missing."""
        try:
            from tensorboard.compat.proto import event_pb2, summary_pb2
            from tensorboard.summary.writer.record_writer import RecordWriter
        except ImportError as error:
            message = "tensorboard=True needs the package tensorboard: pip install 'gen[tensorboard]'"
            raise InputError(message) from error
        self._event, self._summary, self._records = event_pb2, summary_pb2, RecordWriter
        self._folder = folder
        self._count = itertools.count()
        self._file: IO[bytes] | None = None
        self._open()

    def rewind(self, step: int) -> None:
        """Marks that training goes on after `step`: TensorBoard hides later steps of earlier files."""
        self._add(step=step + 1, session_log=self._event.SessionLog(status=self._event.SessionLog.START))

    def scalars(self, step: int, line: Mapping[str, Any]) -> None:
        """Adds the numbers of one line of the log."""
        values = [
            self._summary.Summary.Value(tag=name, simple_value=value)
            for name, value in line.items()
            if name != "step" and value is not None
        ]
        self._add(step=step, summary=self._summary.Summary(value=values))

    def image(self, step: int, png: bytes) -> None:
        """Adds a picture [H W 3], given as its PNG."""
        width, height = struct.unpack(">II", png[16:24])  # in the header
        image = self._summary.Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=png)
        value = self._summary.Summary.Value(tag="preview", image=image)
        self._add(step=step, summary=self._summary.Summary(value=[value]))

    def close(self) -> None:
        """Ends the file."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _open(self) -> None:
        self._folder.mkdir(exist_ok=True)
        mark = f"{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}.{next(self._count)}"
        self._file = (self._folder / f"events.out.tfevents.{mark}").open("xb")
        self._add(file_version="brain.Event:2")

    def _add(self, **content: Any) -> None:
        if self._file is None:
            self._open()
        file = self._file
        assert file is not None
        try:
            self._records(file).write(self._event.Event(wall_time=time.time(), **content).SerializeToString())
            file.flush()
        except OSError as error:
            self._file = None
            with contextlib.suppress(OSError):  # it tries to write the rest
                file.close()
            raise OSError(error.errno, error.strerror, str(self._folder)) from None
