"""A board at a serial port of this computer."""

from __future__ import annotations

import time
from typing import Any

from sw.errors import DnaError
from sw.host import extras


class SerialLink:
    """A link over a port such as /dev/ttyUSB0.

    Args:
        port: its name, or a URL as pyserial takes it.
        baud: bits a second.

    Raises:
        DnaError: pyserial is not installed, or the port cannot be opened.
    """

    def __init__(self, port: str, baud: int) -> None:
        with extras.needs("board", "pyserial"):
            import serial
        self._error: type[Exception] = serial.SerialException
        self._name = port
        try:
            self._port: Any = serial.serial_for_url(port, baud, timeout=0)
            self._port.reset_input_buffer()
        except (serial.SerialException, ValueError, OSError) as error:
            raise DnaError(f"cannot open the serial port {port}: {error}") from error

    def exchange(self, sent: bytes, answer: int, seconds: float) -> bytes:
        """As :class:`harness.board.link.uartbone.Link` says."""
        found = bytearray()
        try:
            self._port.write(sent)
            deadline = time.monotonic() + seconds
            while len(found) < answer and time.monotonic() < deadline:
                self._port.timeout = max(deadline - time.monotonic(), 0)
                found += self._port.read(answer - len(found))
        except (self._error, OSError) as error:
            raise DnaError(
                f"the serial port {self._name} is gone: {error}; plug the board in again and "
                "repeat the command, which goes on where it was"
            ) from error
        return bytes(found)

    def close(self) -> None:
        """Give the port back."""
        self._port.close()
