"""The whole service in a thread of this process, for commands that find none running."""

import asyncio
import logging
import os
import threading
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

from addonry.app import serve
from addonry.cli.errors import wants_tracebacks
from addonry.settings import load_settings


class Embedded:
    """A service on a free port of loopback, between ``start`` and ``stop``."""

    def __init__(self, data: Path) -> None:
        settings = load_settings(os.environ, data_directory=data, listen="127.0.0.1:0")
        # Certificates in the environment are for the service that others see, not for a socket of this process.
        self._settings = replace(settings, tls_cert=None, tls_key=None)
        self._ready: Future[str] = Future()
        self._until = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="embedded service", daemon=True)

    def start(self) -> str:
        """Its address, once it answers. Raises what starting it raised, DataDirectoryBusy above all."""
        logging.basicConfig(level=logging.INFO if wants_tracebacks() else logging.CRITICAL)
        self._thread.start()
        return self._ready.result()

    def stop(self) -> None:
        """Stop it, and wait until it is gone. Tasks under way are taken up by whoever opens the directory next."""
        loop = self._loop
        if loop is not None and self._thread.is_alive():
            loop.call_soon_threadsafe(self._until.set)
        self._thread.join(timeout=15)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - handed to the thread that started this one
            if not self._ready.done():
                self._ready.set_exception(error)
        if not self._ready.done():
            self._ready.set_exception(RuntimeError("the embedded service ended before it was ready"))

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        await serve(self._settings, on_ready=self._ready.set_result, until=self._until)
