"""A TCP proxy on a free port that a test can cut: connections stay open, and nothing comes through any more."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

CHUNK_BYTES = 65_536


class Proxy:
    """Forwards to a port of 127.0.0.1 while it is not cut."""

    def __init__(self, listener: socket.socket, to_port: int) -> None:
        self.port: int = listener.getsockname()[1]
        self._listener = listener
        self._to_port = to_port
        self._whole = threading.Event()
        self._whole.set()
        self._ends: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def cut(self) -> None:
        """Hold back whatever comes from now on, in both directions."""
        self._whole.clear()

    def mend(self) -> None:
        """Let all through again, also what was held back."""
        self._whole.set()

    def close(self) -> None:
        """Break all connections."""
        self._whole.set()
        for end in [self._listener, *self._ends]:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for end in self._ends:
            end.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                # A server that is being restarted is not there: the next connection may find it.
                try:
                    server = socket.create_connection(("127.0.0.1", self._to_port))
                except OSError:
                    client.close()
                    continue
                self._ends += [client, server]
                for source, target in ((client, server), (server, client)):
                    self._threads.append(threading.Thread(target=self._forward, args=(source, target), daemon=True))
                    self._threads[-1].start()

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while True:
                data = source.recv(CHUNK_BYTES)
                self._whole.wait()
                if not data:
                    break
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxied(to_port: int) -> Iterator[Proxy]:
    """A proxy to this port of 127.0.0.1."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        proxy = Proxy(listener, to_port)
        try:
            yield proxy
        finally:
            proxy.close()
