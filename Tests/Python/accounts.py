"""Whether the processes of a bin/serve that root started are kept apart: by account, by what binds each process, by sockets and by keys.
Needs root. Prints the first thing that is not so, and fails.

usage: accounts.py STATE_DIR"""

import glob, grp, os, pathlib, pwd, re, socket, stat, sys

state = pathlib.Path(sys.argv[1])
run = (state / "run").resolve()
endpoints = sorted(set(re.findall(r'^"[^"]*" *([a-z-]+);', pathlib.Path("nginx/routes.conf").read_text(), re.M)))
callers = {"subscribe-pro", "subscription-portal", "cancel-subscription", "resume-subscription", "refresh-subscription", "list-invoices"}
without_keys = {"get-shared", "health", "ready", "metrics"}
without_database = {name for name in endpoints if not pathlib.Path(f"Sources/handlers/{name}/{name}.sql").exists()}


def account(name):
    return pwd.getpwnam(name)


class Process:
    """A process that holds the state's lock, as all of a bin/serve do."""

    def __init__(self, pid):
        self.pid = pid
        folder = pathlib.Path(f"/proc/{pid}")
        status = dict(line.split(":\t", 1) for line in (folder / "status").read_text().splitlines() if ":\t" in line)
        self.name = status["Name"]
        self.uids = {int(uid) for uid in status["Uid"].split()}
        self.gids = {int(gid) for gid in status["Gid"].split()}
        self.groups = {int(gid) for gid in status["Groups"].split()}
        self.gains_nothing = status["NoNewPrivs"] == "1"
        self.leaves_no_core = re.search(r"^Max core file size +0 +0 ", (folder / "limits").read_text(), re.M) is not None
        # The kernel gives these files to root where a process is not dumpable.
        self.is_dumpable = (folder / "environ").stat().st_uid != 0
        self.arguments = (folder / "cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
        pairs = (folder / "environ").read_bytes().decode(errors="replace").split("\0")
        self.environment = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
        self.role = self.find_role()

    def find_role(self):
        last = os.path.basename(self.arguments[-1])
        if self.name in ("multiwatch", "doze") or last in endpoints and len(self.arguments) == 1:
            return last
        program = os.path.basename(self.arguments[0])
        if program == "cron-worker":
            return "worker"
        if program.startswith("sandbox-"):
            return "sandbox"
        if self.name in ("nginx", "postgres"):
            return self.name
        return None  # bin/serve, and what it runs for a moment

    def __str__(self):
        return f"{self.name} ({self.role}, {self.pid})"


def is_lock(path):
    try:
        return os.path.samefile(path, state / "lock")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False  # It has been closed, or is of a process of the system's that not even root may look at.


def processes():
    running = []
    for folder in glob.glob("/proc/[0-9]*"):
        try:
            if any(is_lock(path) for path in glob.glob(folder + "/fd/*")):
                running.append(Process(int(folder.rsplit("/", 1)[1])))
        except (FileNotFoundError, ProcessLookupError):
            pass  # It has ended.
    return running


def as_account(name, attempt):
    """What an attempt of that account's comes to: "" or the name of the error."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        said = "died"
        try:
            os.initgroups(name, account(name).pw_gid)
            os.setgid(account(name).pw_gid)
            os.setuid(account(name).pw_uid)
            attempt()
            said = ""
        except OSError as error:
            said = type(error).__name__
        finally:
            os.write(writer, said.encode())
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        said = answer.read()
    os.waitpid(child, 0)
    return said


def connect(path):
    with socket.socket(socket.AF_UNIX) as end:
        end.connect(str(path))


def ring():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.sendto(b"!", str(run / "doorbell/worker.sock"))


def check(holds, what):
    if not holds:
        sys.exit(f"not so: {what}")


def check_accounts(running):
    owners = {}
    for process in running:
        if process.role in endpoints or process.role in ("worker", "sandbox"):
            check(process.uids == {account(f"chat-{process.role}").pw_uid}, f"{process} has the account of its name")
            check(process.gids == {account(f"chat-{process.role}").pw_gid}, f"{process} has the group of its name")
            is_member = grp.getgrnam("chat").gr_gid in process.groups
            check(is_member == (process.role != "sandbox"), f"{process} is in the group chat, but for the sandbox")
        for uid in process.uids - {0}:
            check(owners.setdefault(uid, process.role) == process.role, f"{process} shares no account with {owners[uid]}")
    check(set(endpoints) <= set(owners.values()), f"each endpoint runs: {set(endpoints) - set(owners.values())}")
    check(owners.get(account("www-data").pw_uid) == "nginx", "nginx's workers run as www-data")


def check_bounds(running):
    for process in running:
        if process.role:
            check(process.gains_nothing, f"{process} can gain no rights")
            check(process.leaves_no_core, f"{process} leaves no core file")
        if process.role in endpoints and process.name != "multiwatch" or process.role == "worker":
            check(not process.is_dumpable, f"{process} is not dumpable")


def check_sockets():
    for folder, owner in (("sockets", "root"), ("doorbell", "chat-worker")):
        found = (run / folder).stat()
        check(found.st_uid == account(owner).pw_uid and found.st_mode & 0o022 == 0, f"{owner} alone writes to {folder}")
    for name in endpoints:
        found = (run / f"sockets/{name}.sock").stat()
        check(stat.S_IMODE(found.st_mode) == 0o600 and found.st_uid == account("www-data").pw_uid, f"{name}'s socket is nginx's alone")
    health = run / "sockets/health.sock"
    check(as_account("www-data", lambda: connect(health)) == "", "www-data connects")
    for name in ("chat-get-me", "chat-health", "chat-worker", "chat-sandbox", "postgres"):
        check(as_account(name, lambda: connect(health)) == "PermissionError", f"{name} does not connect to an endpoint")
        check(as_account(name, lambda: os.unlink(health)) == "PermissionError", f"{name} does not remove an endpoint's socket")
    check(as_account("chat-get-me", ring) == "", "a handler rings")
    for name in ("chat-sandbox", "www-data"):
        check(as_account(name, ring) == "PermissionError", f"{name} does not ring")
    fifo = (run / "sockets/connections").stat()
    check((fifo.st_uid, fifo.st_gid) == (0, grp.getgrnam("chat").gr_gid), "the FIFO of connections is of root and chat")
    check(stat.S_IMODE(fifo.st_mode) == 0o660, "nobody else opens the FIFO of connections")


def check_secrets(running):
    root = (state / "token-keys").read_text().strip().split(":")[-1]
    for process in running:
        held, role = process.environment, process.role
        check(not any(root in value for value in held.values()), f"{process} does not hold the root key")
        if role is None:
            continue
        check(role not in without_keys or "TOKEN_KEYS" not in held, f"{process} holds no keys")
        check("TOKEN_KEYS" not in held or role in endpoints or role == "worker", f"{process} holds no keys")
        for name in ("GEMINI_API_KEY", "GEMINI_API_KEYS", "TWILIO_AUTH_TOKEN", "OTP_WEBHOOK_SECRET"):
            check(name not in held or role == "worker", f"{process} does not hold {name}")
        check("GEMINI_API_KEY" in held or role != "worker", f"{process} holds GEMINI_API_KEY")
        check("STRIPE_WEBHOOK_SECRETS" not in held or role == "stripe-webhook", f"{process} does not hold Stripe's secrets")
        key = held.get("STRIPE_SECRET_KEY", "")
        check(key in ("", "sk_test_") or role in callers | {"worker"}, f"{process} does not hold Stripe's key")
        has_database = role in set(endpoints) - without_database or role == "worker"
        expected = f"postgresql://chat-{role}@/app?host={run}/postgres" if has_database else None
        check(held.get("DATABASE_URL") == expected, f"{process} has {expected} for a database")
        check("PGPASSWORD" not in held, f"{process} holds no password")
    check(any(p.role == "get-me" and "TOKEN_KEYS" in p.environment for p in running), "get-me holds keys")


running = processes()
check_accounts(running)
check_bounds(running)
check_sockets()
check_secrets(running)
