"""`make profile row=…`: where our server's CPU time goes in one row; see README.md.

py-spy looks at the workers from outside while the driver sends that row's requests. A sample
counts when a thread is at work in Python (it holds the interpreter's lock): waiting does not, nor
does C code that lets go of it, like Argon2 or the network. The stacks go to a file that
speedscope.app opens, the hottest functions are printed.
"""

import argparse
import re
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

from benchmarks import database, servers
from benchmarks.loads import LOADS
from benchmarks.peer_build import ROOT
from benchmarks.stacks import Stacks, read

REDIS = 14
SHOWN, LEAST = 40, 0.005  # functions, and their share
# What every request goes through, and says nothing.
SCAFFOLD = re.compile(
    r"\((?:threading|concurrent|<frozen|gunicorn/(?:app|arb|__main|work)|flask/app)"
)
ATTACH_SECONDS = 1.5
HINT = (
    "py-spy may not look at other processes here. Run as root, or allow it with "
    "sysctl kernel.yama.ptrace_scope=0."
)


def main() -> int:
    options = _options()
    out = servers.RESULTS / f"profile-{options.row}-{options.database}.folded"
    off, checkout = servers.switched_off(options.off), options.checkout.resolve()
    ours = servers.measured(options.database, REDIS, checkout=checkout, **off)
    with ours as (url, server):
        load = LOADS[options.row](server)
        load(min(2, options.seconds))  # warm
        asked, cpu = database.asked(url), server.tree.cpu_seconds()
        recorder = _record(server.tree.root, out, options)
        count = load(options.seconds)
        cpu = server.tree.cpu_seconds() - cpu
        asked = {name: n - asked[name] for name, n in database.asked(url).items()}
        recorder.send_signal(signal.SIGINT)
        _finish(recorder)
    print(f"\n{options.row}: {count} requests, {cpu / count * 1000:.2f} ms of CPU each")
    for name, n in asked.items():
        print(f"  {n / count:.2f} {name} each, if nobody else uses these servers")
    _tell(read(out.read_text()), out)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("row", choices=LOADS)
    parser.add_argument("--database", choices=sorted(database.SERVERS), default="mariadb")
    parser.add_argument("--seconds", type=float, default=10, help="of load (default 10)")
    parser.add_argument("--rate", type=int, default=250, help="samples per second (default 250)")
    parser.add_argument("--lines", action="store_true", help="by line, not by function")
    parser.add_argument("--wall", action="store_true", help="every thread counts, waiting or not")
    parser.add_argument("--native", action="store_true", help="C functions, too")
    parser.add_argument("--off", help=f"of ours, with commas: {', '.join(servers.SWITCHES)}")
    parser.add_argument("--checkout", type=Path, default=ROOT, help="another checkout")
    return parser.parse_args()


def _record(pid: int, out: Path, options: argparse.Namespace) -> "subprocess.Popen[str]":
    """py-spy, looking already; it stops, and writes, on SIGINT."""
    command = ["py-spy", "record", "--pid", str(pid), "--subprocesses", "--format", "raw"]
    command += ["--rate", str(options.rate), "--output", str(out), "--duration", "3600"]
    command += [] if options.lines else ["--function"]
    command += ["--idle"] if options.wall else ["--gil"]
    command += ["--native"] if options.native else []
    out.unlink(missing_ok=True)
    recorder = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    time.sleep(ATTACH_SECONDS)
    if recorder.poll() is not None:
        raise SystemExit(f"{recorder.communicate()[0]}\n{HINT}")
    return recorder


def _finish(recorder: "subprocess.Popen[str]") -> None:
    output, _ = recorder.communicate(timeout=60)
    if recorder.returncode:
        raise SystemExit(output)


def _tell(stacks: Stacks, out: Path) -> None:
    print(f"\n{stacks.total} samples")
    parts = {
        "packages, by themselves": stacks.packages(),
        "functions, by themselves": stacks.own(),
        "functions, with what they call": _without_scaffold(stacks.whole()),
    }
    for title, counted in parts.items():
        print(f"\n  {title}:")
        _print_top(counted, stacks.total)
    print(f"\n{out.relative_to(ROOT)} opens in speedscope.app")


def _without_scaffold(counted: Counter[str]) -> Counter[str]:
    return Counter({name: n for name, n in counted.items() if not SCAFFOLD.search(name)})


def _print_top(counted: Counter[str], total: int) -> None:
    for name, samples in counted.most_common(SHOWN):
        if samples >= LEAST * total:
            print(f"  {samples / total:7.1%}  {name}")


if __name__ == "__main__":
    servers.leave_tidily(main)
