"""Decoding, network and drawing at the same time: each in a thread, some items ahead of the one that takes them."""

import threading
from collections.abc import Generator, Iterator
from queue import SimpleQueue
from typing import TypeVar

Item = TypeVar("Item")


def ahead(items: Iterator[Item], count: int) -> Generator[Item]:
    """The items of an iterator, made in a thread of its own, at most `count` of them before they are asked for.

    An error of the iterator is raised in its place. When the generator is closed, the thread ends after its item.
    """
    made: SimpleQueue[tuple[Item] | BaseException | None] = SimpleQueue()
    room, stopped = threading.Semaphore(count), threading.Event()

    def work() -> None:
        try:
            for item in items:
                made.put((item,))
                room.acquire()
                if stopped.is_set():
                    return
            made.put(None)
        except BaseException as error:  # whatever it is, the other thread waits for it
            made.put(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while (entry := made.get()) is not None:
            if isinstance(entry, BaseException):
                raise entry
            room.release()
            yield entry[0]
    finally:
        stopped.set()
        room.release()
        thread.join()
