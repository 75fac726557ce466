"""Whether Ray Serve wants this replica to end: Serve tells a replica only when its last request is over.

An open WebSocket is a request. So a replica that waited to be told would be waited for, and then be killed.
"""

import logging
from collections.abc import Callable
from typing import Final

import ray

log = logging.getLogger(__name__)

_PLACE: Final = "_replica_impl"
_FLAG: Final = "_shutting_down"


def stop_watch() -> Callable[[], bool]:
    """A function that says whether the replica of this process is being stopped.

    The flag is Serve's own and no public name, so Ray's version is pinned and a test on real Ray looks at it.
    Should it be gone, gateways still leave in order, only when Serve has waited for them.
    """
    actors = getattr(ray._private.worker.global_worker, "actors", {})
    for actor in actors.values():
        replica = getattr(actor, _PLACE, None)
        if hasattr(replica, _FLAG):
            return lambda: bool(getattr(replica, _FLAG))
    log.warning("this version of Ray Serve does not say when it stops a replica")
    return lambda: False
