"""The processes of a running bin/serve, and programs that are run in the place of one."""
import json
import os
import pathlib
import subprocess
import sys

import intruder


class Processes:
    """What runs below bin/serve, by process id."""

    def __init__(self, serve):
        parents, self.commands = {}, {}
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                parent = pathlib.Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[1]
                command = pathlib.Path(f"/proc/{entry}/cmdline").read_bytes().decode(errors="replace").split("\0")
            except (FileNotFoundError, ProcessLookupError):
                continue  # It has ended meanwhile.
            parents[int(entry)], self.commands[int(entry)] = int(parent), [part for part in command if part] or ["?"]
        self.below = [serve]
        for pid in self.below:
            self.below += [child for child, parent in parents.items() if parent == pid]
        self.parents = set(parents.values())

    def of(self, name):
        """Those that run one of our programs; one that dozes has the program's name as its argument."""
        return [pid for pid in self.below if self.is_of(pid, name) and pid not in self.parents]

    def is_of(self, pid, name):
        """Whether a process runs a program of ours, or keeps it running."""
        return self.commands[pid][-1] == f"./{name}"

    def kinds(self):
        """One of each kind of process, by a name for it."""
        found = {}
        for pid in self.below:
            command = self.commands[pid]
            program = command[-1] if command[-1].startswith("./") else ""
            found.setdefault("-".join([*command[0].split()[:2], program]).rstrip("-"), pid)
        return found


def is_alive(pid):
    return os.path.exists(f"/proc/{pid}")


def status_of(pid):
    """The lines of /proc/PID/status, in words; nothing of a process that has ended."""
    try:
        lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return {}
    return {name: value.split() for name, _, value in (line.partition(":") for line in lines)}


def environment_of(pid):
    pairs = pathlib.Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def descriptors_of(pid):
    """Duplicates of what a process has open."""
    process, taken = os.pidfd_open(pid), []
    for entry in os.listdir(f"/proc/{pid}/fd"):
        descriptor = intruder.libc.syscall(intruder.PIDFD_GETFD, process, int(entry), 0)
        if descriptor >= 0:  # Else it has been closed meanwhile.
            taken.append(descriptor)
    os.close(process)
    return taken


def run_intruder(spec, account, environment, folder, descriptors):
    """Runs intruder.py with these options of setpriv, this environment and these descriptors, which are closed; what it printed.

    Its Python is the system's: accounts may have no way to the test's own.
    """
    source = pathlib.Path(intruder.__file__).read_text()
    done = subprocess.run(
        ["/usr/bin/setpriv", *account, "--no-new-privs", "/usr/bin/python3", "-I", "-c", source],
        input=json.dumps({**spec, "descriptors": descriptors}), env=environment, cwd=folder, pass_fds=descriptors, capture_output=True,
        text=True, timeout=60)
    for descriptor in descriptors:
        os.close(descriptor)
    if done.returncode != 0:
        sys.exit(f"takeover: the intruder failed: {done.stderr}")
    return json.loads(done.stdout)


def run_in_place_of(pid, spec):
    """Runs intruder.py as what a process is, with what it has."""
    status = status_of(pid)
    groups = ["--groups", ",".join(status["Groups"])] if status["Groups"] else ["--clear-groups"]
    account = ["--reuid", status["Uid"][0], "--regid", status["Gid"][0], *groups]
    done = run_intruder(spec, account, environment_of(pid), f"/proc/{pid}/cwd", descriptors_of(pid))
    for name, value in done["rights"].items():
        if sorted(value) != sorted(status[name]):
            sys.exit(f"takeover: the intruder ran with the {name} {value}, and the process with {status[name]}")
    return done["results"]
