"""`make bench-live`: idle streams in one live process, what a push costs beside them, and how long
it is from its stamp, which is taken before its commit, to the event at the phone; see README.md.

Each stream is another account's; a second phone of some of them pushes. The streams are held by a
process of their own, as plain sockets.
"""

import argparse
import time
from contextlib import ExitStack

from benchmarks import database, live_trials, servers
from benchmarks.live_listeners import listening
from benchmarks.live_load import Pushes, accounts, spread
from benchmarks.live_trials import DEAF, Stage

STREAMING = {
    "idle": live_trials.idle,
    "away": live_trials.away,
    "deaf": live_trials.deaf,
    "stop": live_trials.stop,
}
POLLING = {"polls": live_trials.polls}
SETTLE_SECONDS = 5


def main() -> int:
    options = _options()
    with ExitStack() as stack:
        url = stack.enter_context(database.fresh(options.url, "melon_bench_live"))
        store = stack.enter_context(database.OwnRedis())
        environ = servers.deployed(url, store.url)
        web = stack.enter_context(servers.ours("live", url, store.url))
        people = accounts(environ, options.streams + DEAF)
        alone = Pushes(web.url, people, options.rate, options.seconds)
        print(f"push alone: {spread(alone.run())}", flush=True)
        for trials, wait in ((STREAMING, None), (POLLING, options.wait)):
            wanted = [trial for name, trial in trials.items() if name in options.what]
            if not wanted:
                continue
            began = time.monotonic()
            with (
                servers.live(environ, len(people)) as live,
                listening(live.url, people[:-DEAF], wait) as listeners,
            ):
                print(f"{listeners.opened} listen after {time.monotonic() - began:.0f} s")
                time.sleep(SETTLE_SECONDS)
                stage = Stage(web.url, live.url, live.pid, url, store, people, listeners, wait)
                for trial in wanted:
                    print(flush=True)
                    trial(stage, options.rate, options.seconds)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=sorted(database.SERVERS), default="mariadb")
    known = [*STREAMING, *POLLING]
    parser.add_argument(
        "--what", type=lambda names: names.split(","), default=["idle"], help=", ".join(known)
    )
    parser.add_argument("--streams", type=int, default=10_000)
    parser.add_argument("--rate", type=int, default=100, help="pushes a second")
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--wait", type=float, default=25, help="of long polls, in seconds")
    options = parser.parse_args()
    if unknown := set(options.what) - set(known):
        parser.error(f"{', '.join(unknown)}: there are {', '.join(known)}")
    options.url = database.SERVERS[options.database]
    return options


if __name__ == "__main__":
    servers.leave_tidily(main)
