"""Several processes that work as one: how each learns of the others, what they share, and what if one is lost."""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import selectors
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator

import jax
import numpy as np

from gen.cli import MemberOptions
from gen.errors import InputError
from gen.membership import FLAGS, VARIABLES, Membership, membership_of

LOST = 75  # exit code, EX_TEMPFAIL of sysexits.h: the same command again goes on
SILENCE = 10.0  # seconds without a sign of life, after which a process counts as lost
_TICK = 1.0  # seconds between signs of life
_JOIN_SECONDS = 300
_LAST_SECONDS = 1.0
_MEET_SECONDS = 86_400  # the watch ends a process that waits for one that is lost
_LATER = 60  # seconds after which jax ends the process by itself, should the watch have failed
_meetings = itertools.count()  # every process has the same


@contextlib.contextmanager
def together(options: MemberOptions) -> Iterator[None]:
    """Joins the other processes that the options or the environment name, and leaves when all are done.

    All do the same in the same order, as what one computes another may wait for; an error in one ends all, with a line.
    """
    join(membership_of(options))
    if not alone():
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # which jax has caught, and nobody here asks it for
    with Watch():
        yield


def alone() -> bool:
    """Returns whether this process works alone; it starts no device."""
    return not jax.distributed.is_initialized() or jax.process_count() == 1


def writes() -> bool:
    """Returns whether this process writes files: of several only process 0. One that is alone starts no device."""
    return not jax.distributed.is_initialized() or jax.process_index() == 0


def join(member: Membership | None) -> None:
    """Joins the other processes, before any other use of jax; does nothing for a process that is alone.

    Raises InputError where they cannot be found.
    """
    if member is None or jax.distributed.is_initialized():
        return
    jax.config.update("jax_enable_recoverability", True)  # else jax ends a process before it can say why
    try:
        jax.distributed.initialize(
            member.coordinator,
            member.num_processes,
            member.process_id,
            member.local_devices,
            initialization_timeout=_JOIN_SECONDS,
            heartbeat_timeout_seconds=_LATER,
        )
    except (ValueError, TypeError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise InputError(
            f"the other processes are not found ({reason}); say who they are by {', '.join(FLAGS)}, "
            f"or by {', '.join(VARIABLES)}"
        ) from error


def meet(name: str) -> None:
    """Waits until all processes are here: what follows may wait for others for some seconds only."""
    if jax.process_count() > 1:
        from jax._src import distributed

        store = distributed.global_state.client
        assert store is not None
        store.wait_at_barrier(f"gen/{name}/{next(_meetings)}", _MEET_SECONDS * 1000)


def of_first(value: np.ndarray | float) -> np.ndarray:
    """Returns the value that process 0 has, in every process: what clocks decide must be one decision."""
    if jax.process_count() == 1:
        return np.asarray(value)
    from jax.experimental import multihost_utils

    return np.asarray(multihost_utils.broadcast_one_to_all(np.asarray(value)))


def bytes_of_first(make: Callable[[], bytes]) -> bytes:
    """Makes bytes, at most 2 GiB, in process 0, however long that takes, and returns them in every process."""
    if jax.process_count() == 1:
        return make()
    content = np.frombuffer(make() if jax.process_index() == 0 else b"", np.uint8)
    meet("made")
    length = int(of_first(len(content)))
    return of_first(content if jax.process_index() == 0 else np.zeros(length, np.uint8)).tobytes()


def share(count: int) -> np.ndarray:
    """Returns which of `count` rows this process computes: as many as others, the last one for those that lack."""
    each = -(-count // jax.process_count())
    return np.minimum(np.arange(each) + each * jax.process_index(), count - 1)


def gathered(part: np.ndarray, count: int) -> np.ndarray:
    """Returns the results [count ...] of all processes, each of which has those of its `share`."""
    if jax.process_count() == 1:
        return part
    from jax.experimental import multihost_utils

    return np.asarray(multihost_utils.process_allgather(part, tiled=True))[:count]


class Watch:
    """Ends this process, in a line, when another one is lost or a step takes too long.

    Every process says once a second, over a connection to process 0, that it is there; the system closes the connection
    of one that is killed. Without it the others would wait, in the next sum over all devices, for ever.
    """

    def __init__(self, *, hung: float = 0.0, silence: float = SILENCE) -> None:
        """hung: seconds that a step may take, 0: any. silence: seconds after which a process counts as lost."""
        self.before_exit: Callable[[], None] = lambda: None
        self._reason: tuple[int, str] | None = None
        self._sent = 0.0
        self._hung, self._silence = hung, silence
        self._beat: float | None = None
        self._peers = dict[socket.socket, int]()
        self._heard = dict[socket.socket, float]()
        self._unread = dict[socket.socket, bytes]()
        self._closing = threading.Event()
        self._listener: socket.socket | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Watch:
        if jax.process_count() > 1:
            try:
                self._connect()
            except (OSError, ValueError, RuntimeError) as error:
                told = str(error).strip().splitlines() or [type(error).__name__]
                raise InputError(f"the other processes are not heard of ({told[0][:200]}): did one end?") from error
        if self._peers or self._hung:
            self._thread = threading.Thread(target=self._run, daemon=True, name="watch")
            self._thread.start()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        fails = isinstance(error, (jax.errors.JaxRuntimeError, ValueError)) and not isinstance(error, InputError)
        if fails and self._peers:
            time.sleep(self._silence)  # what fails in a sum over all devices is as a rule a lost process
        if error is None and self._reason is None and self._peers:
            self._part()
        self._closing.set()
        if self._thread is not None:
            self._thread.join()
        _say_last(self._peers, self._farewell(error))
        if self._listener is not None:
            self._listener.close()

    def _part(self) -> None:
        """Waits until all have come to their end. Process 0 is the last to go: jax ends who still needs it."""
        meet("end")
        if jax.process_index():
            jax.distributed.shutdown()
        while jax.process_index() == 0 and self._heard:
            time.sleep(0.02)

    def ends_all(self, code: int, why: str) -> None:
        """Says that this process ends for a reason of its own, with which the others are to end too."""
        self._reason = code, why

    def _farewell(self, error: BaseException | None) -> bytes:
        """Returns what the others are told: that all is well, what ends them too, or nothing: they miss this one."""
        if isinstance(error, InputError):
            self.ends_all(2, str(error))
        elif error is not None:
            return b""
        if self._reason is None:
            return b"bye\n"
        code, why = self._reason
        who = f"process {jax.process_index()} of {jax.process_count()}"
        return f"end {code} {who} stopped: {' '.join(why.splitlines())}\n".encode()

    def alive(self) -> None:
        """Says that a step has begun, or ended."""
        self._beat = time.monotonic()

    def pause(self) -> None:
        """Says that what follows is no step, and may take its time."""
        self._beat = None

    def _connect(self) -> None:
        """Connects process 0 with each other one; the address and a secret come from jax's store of keys."""
        from jax._src import distributed

        store, count, index = distributed.global_state.client, jax.process_count(), jax.process_index()
        assert store is not None
        if index == 0:
            host = (distributed.global_state.coordinator_address or "localhost").rpartition(":")[0].strip("[]")
            family = socket.AF_INET6 if socket.has_ipv6 and ":" in host else socket.AF_INET
            self._listener = socket.create_server(("", 0), family=family)
            self._listener.settimeout(_JOIN_SECONDS)
            secret = secrets.token_hex(16)
            store.key_value_set("gen/watch", f"{host} {self._listener.getsockname()[1]} {secret}")
            while len(self._peers) < count - 1:
                peer, _ = self._listener.accept()
                peer.settimeout(self._silence)
                with contextlib.suppress(OSError, ValueError):
                    given, number = peer.recv(64).decode().split()
                    if secrets.compare_digest(given, secret):
                        self._peers[peer] = int(number)
                        continue
                peer.close()
        else:
            host, port, secret = store.blocking_key_value_get("gen/watch", _JOIN_SECONDS * 1000).split()
            peer = socket.create_connection((host, int(port)), timeout=_JOIN_SECONDS)
            peer.sendall(f"{secret} {index}".encode())
            self._peers[peer] = 0
        now = time.monotonic()
        for peer in self._peers:
            peer.settimeout(self._silence)
            self._heard[peer], self._unread[peer] = now, b""

    def _run(self) -> None:
        """Sends and hears signs of life, until the watch is closed."""
        with selectors.DefaultSelector() as selector:
            for peer in self._peers:
                selector.register(peer, selectors.EVENT_READ, peer)
            last = time.monotonic()
            while not self._closing.wait(0 if selector.get_map() else _TICK):
                if time.monotonic() - last > max(3 * _TICK, self._silence / 2):  # this process was suspended itself
                    self._forgive()
                last = time.monotonic()
                for key, _ in selector.select(_TICK) if selector.get_map() else ():
                    if self._ended(key.data):
                        selector.unregister(key.data)
                if time.monotonic() - self._sent >= _TICK:
                    self._sent = time.monotonic()
                    for peer in list(self._heard):
                        self._check(peer)
                if self._hung and self._beat is not None and time.monotonic() - self._beat > self._hung:
                    self._end(f"no step ended in {self._hung:.0f} s: a device or another process hangs")

    def _ended(self, peer: socket.socket) -> bool:
        """Reads what a process says; returns whether it has ended well."""
        try:
            told = peer.recv(4096)
        except OSError:
            told = b""
        *lines, self._unread[peer] = (self._unread[peer] + told).split(b"\n")
        self._heard[peer] = time.monotonic()
        for line in lines:
            if line == b"bye":
                del self._heard[peer]
                return True
            if line.startswith(b"end "):  # of this process, or of another one that process 0 has heard of
                _, code, why = line.decode("utf-8", "replace").split(" ", 2)
                self._end(why, int(code))
        if not told:
            self._end(f"process {self._peers[peer]} of {jax.process_count()} is lost: it ended, or was killed")
        return False

    def _forgive(self) -> None:
        """Begins to count anew."""
        now = time.monotonic()
        self._heard = dict.fromkeys(self._heard, now)
        if self._beat is not None:
            self._beat = now

    def _check(self, peer: socket.socket) -> None:
        number = self._peers[peer]
        with contextlib.suppress(OSError):  # which reading tells of
            peer.sendall(b"\n")
        if time.monotonic() - self._heard[peer] > self._silence:
            self._end(f"process {number} of {jax.process_count()} is lost: silent for {self._silence:.0f} s")

    def _end(self, why: str, code: int = LOST) -> None:
        """Tells the others, says why, and ends this process."""
        _say_last(self._heard, f"end {code} {why}\n".encode())
        next_step = "; the same command goes on from the newest checkpoint" if code == LOST else ""
        text = f"gen: {why}; stopped with exit code {code}{next_step}\n"
        start = "\r\x1b[K" if sys.stderr is not None and sys.stderr.isatty() else ""
        with contextlib.suppress(OSError):
            os.write(2, f"{start}{text}".encode())
        with contextlib.suppress(Exception):
            self.before_exit()
        os._exit(code)  # the main thread waits for a process that is no more


def _say_last(peers: Iterable[socket.socket], text: bytes) -> None:
    """Sends a text and ends connections, once the others have ended them too or after a second.

    To close one at once, with something in it that was not read, would reset it, and the other would not get the text.
    """
    for peer in peers:
        with contextlib.suppress(OSError):
            peer.sendall(text)
            peer.shutdown(socket.SHUT_WR)
    deadline = time.monotonic() + _LAST_SECONDS
    for peer in peers:
        with contextlib.suppress(OSError):
            while (left := deadline - time.monotonic()) > 0:
                peer.settimeout(left)
                if not peer.recv(4096):
                    break
        peer.close()
