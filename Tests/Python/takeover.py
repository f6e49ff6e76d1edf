#!/usr/bin/env python3
"""What a taken-over handler can do: what its endpoint does. As root, against a running bin/serve.

For each endpoint, intruder.py runs under the account, with the environment and the open descriptors of its process, and everything that
it tries has to be refused, and for the reason that is meant. The same code succeeds where it has the rights (control), so that nothing
is refused because of a mistake in it. Then tokens, cursors, links and events of Stripe's are forged with every key of that environment.

Endpoints that sign in (verify-otp, login, refresh) hold the keys that make tokens, and are not looked at. What all of them may do is
left out too: ring the worker's doorbell, count connections, and end a process of their own endpoint.

usage: takeover.py URL STATE_DIR PID-OF-BIN/SERVE
"""
import collections
import hashlib
import os
import pathlib
import re
import secrets
import stat
import subprocess
import sys
import time
import uuid

from forging import forge
from intruder import Postgres
from people import Person, Site, Victim, new_number
from processes import Processes, environment_of, is_alive, run_in_place_of, run_intruder, status_of

# Each with the purposes of the keys that it holds.
ENDPOINTS = {
    "get-shared": set(), "signup": set(), "send-message": {"verify"}, "stream-reply": {"verify"}, "export-me": {"verify"},
    "stripe-webhook": set(), "get-me": {"verify"}, "list-chatrooms": {"verify", "cursor"}, "health": set(), "upload-attachment": {"verify"},
}
# What an endpoint's keys do make: a list's cursors open nothing without a token, and a webhook's secret signs what it verifies.
MAKES = {"list-chatrooms": {"cursor"}, "stripe-webhook": {"event"}}
# Those that read what a person has, and so show it to whoever has a session of theirs.
READERS = {"get-shared", "stream-reply", "export-me", "get-me", "list-chatrooms"}
# Functions that tell in other words than session_ended that a session does not live.
WORDLESS = {"export_me_lines", "stream_reply_news", "stream_reply_ends", "stream_reply_orphans", "upload_attachment_kept"}
# How each kind of attack is refused.
REFUSALS = {
    "login": {"peer", "pg_hba"}, "database": {"42501", "peer", "pg_hba"}, "read": {"42501"}, "write": {"42501"}, "make": {"42501"},
    "operate": {"42501"}, "backend": {"42501", "gone"}, "role": {"42501"}, "look": {"hidden"}, "function": {"42501"}, "cursor": {"42501"},
    "own": {"session_ended"}, "socket": {"EACCES"}, "folder": {"EACCES", "EPERM"}, "process": {"EACCES", "EPERM"}, "trace": {"EPERM"},
    "signal": {"EPERM"}, "file": {"EACCES"}, "descriptor": {"EACCES", "ENOENT"},
}
# Why a call does not reach its function.
UNREACHED = {"42501", "42883", "42725", "42601", "42P18", "3F000"}
# Secrets that belong to others than these endpoints.
FOREIGN = {"GEMINI_API_KEY", "GEMINI_API_KEYS", "TWILIO_AUTH_TOKEN", "OTP_WEBHOOK_SECRET", "PGPASSWORD"}
SECRETS = ["token-keys", "webhook-secret", "sandbox-stripe.json", "postgres/PG_VERSION"]

failures = []


def demand(holds, sentence):
    if not holds:
        failures.append(sentence)


class Deployment:
    """A running bin/serve, and two people who use it."""

    def __init__(self, url, state, serve):
        self.site, self.state, self.serve = Site(url), pathlib.Path(state), serve
        self.run = (self.state / "run").resolve()
        self.url = f"postgresql://postgres@/app?host={self.run}/postgres"
        self.database = Postgres(self.url)
        self.victim, self.other = Victim(self.site), Person(self.site, "other")
        [self.victim.customer] = self.names("select customer as name from stripe_customers where user_id = $1", self.victim.id)
        [self.owner] = self.names("select pg_get_userbyid(datdba) as name from pg_database where datname = 'app'")
        self.processes = Processes(serve)
        [worker] = self.processes.of("cron-worker")[:1]
        self.stripe_key = environment_of(worker)["STRIPE_SECRET_KEY"]
        self.database.run("analyze users")  # There are statistics to look for.

    def names(self, sql, *parameters):
        return [row["name"] for row in self.database.run(sql, *parameters)]

    def own_functions(self, endpoint):
        """The names of the functions of an endpoint's file."""
        made = self.names("select unnest(makes) as name from functions where file = $1", endpoint)
        return [re.fullmatch(r"(?:api\.)?(\w+)\(.*\)", name)[1] for name in made]

    def spec(self, endpoint):
        """What intruder.py tries as the endpoint."""
        role, [process, neighbour] = f"chat-{endpoint}", self.processes.of(endpoint)[:2]
        account = status_of(process)["Uid"]
        # What keeps it running is of its account, and has nothing that it does not have. Its neighbour may not be traced either.
        processes = [[f"{name}#{pid}", pid] for name, pid in self.processes.kinds().items() if not self.processes.is_of(pid, endpoint)]
        processes.append([f"neighbour#{neighbour}", neighbour])
        sockets = [path for path in self.run.rglob("*.sock") if stat.S_ISSOCK(path.lstat().st_mode)]
        folders = {str(folder): None for folder in (
            ".", self.state, self.state / "log", self.state / "tmp", self.run, self.run / "nginx", self.run / "postgres", "/run", "/etc")}
        return {
            "url": self.url, "owner": self.owner, "own": self.own_functions(endpoint), "calls": self.calls(),
            "roles": self.names("select rolname as name from pg_roles where rolname <> $1", role),
            "logins": self.names(
                "select rolname as name from pg_roles where (rolcanlogin or rolname = $2) and rolname <> $1", role, self.owner),
            "databases": self.names("select datname as name from pg_database where datallowconn and datname <> 'app'"),
            "backends": self.names(
                "select pid as name from pg_stat_activity where backend_type = 'client backend' and usename <> $1", role),
            "sockets": [str(path) for path in sockets if path.parent.name != "doorbell"],
            "folders": list({**folders, **{str(path.parent): path.name for path in sockets}}.items()),
            "processes": processes, "signals": [target for target in processes if status_of(target[1]).get("Uid", account) != account],
            "files": [str(self.state / name) for name in SECRETS] + [str(path) for path in (self.state / "log").glob("*.log")],
            "secrets": [*SECRETS, *(f"../{name}" for name in SECRETS)],
        }

    def calls(self):
        """The values of parameters, by their names, for calls in the name of people; `control` has a session that passed through."""
        victim, other = self.victim, self.other
        common = {
            "room": victim.room, "rooms": array(victim.room), "message": victim.reply, "reply": victim.reply,
            "replies": array(victim.reply), "attachment": str(uuid.uuid4()), "contents": array("taken over"), "once": "(,,)",
            "onces": array("(,,)"), "descriptors": "{1}", "attempts": "{0}", "offsets": "{0}", "is_archived": "f", "is_usual": "t",
            "most": "50", "most_bytes": "1000000", "default_model": "gemini", "per_minute": "1000", "per_hour": "0", "conceals": "f",
            "address": "127.0.0.1", "announced": "1", "file_limits": "{1000000,1000000}", "stored_limits": "{1000000,1000000}",
            "media_type": "text/plain", "bytes": "1", "name": "x", "base64": "eA==", "number integer": "999",
            "event": f"evt_{secrets.token_hex(12)}", "type": "customer.updated", "customer": victim.customer, "created": "1",
        }
        people = {
            "the victim, of a session that is not there": f"({victim.id},{uuid.uuid4()},1)",
            "the victim, of another's session": f"({victim.id},{other.session},1)",
            "the victim, of no session": f"({victim.id},,1)",
            "another, of the victim's session": f"({other.id},{victim.session},1)",
            "nobody": "(,,)",
        }
        tries = {who: common | arguments(caller, victim.mobile, secrets.token_urlsafe(32)) for who, caller in people.items()}
        real = f"({victim.id},{victim.session},{int(time.time())})"
        return {**tries, "control": common | arguments(real, new_number(), victim.link)}


def array(value):
    return f'{{"{value}"}}'


def arguments(caller, mobile, link):
    digest = hashlib.sha256(link.encode()).hexdigest()
    return {"caller": caller, "callers": array(caller), "number text": mobile, "former": mobile, "normal": mobile, "hash": digest}


def control(deployment, folder):
    """The same attacks by root and Postgres' superuser: all succeed. What would do harm they do to what is the test's own. How many there
    were of each kind."""
    decoy, backend = subprocess.Popen(["sleep", "60"]), Postgres(deployment.url)
    for name in [*SECRETS, "entry"]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    spec = deployment.spec("get-me") | {
        "own": [], "backends": [backend.run("select pg_backend_pid() as pid")[0]["pid"]], "folders": [[str(folder), "entry"]],
        "secrets": SECRETS, "processes": [["decoy", decoy.pid]], "signals": [["decoy", decoy.pid]],
    }
    descriptors = [os.open(folder, os.O_RDONLY | os.O_DIRECTORY), os.open(folder / "token-keys", os.O_RDWR)]
    environment = {"PATH": os.environ["PATH"], "DATABASE_URL": deployment.url}
    try:
        results = run_intruder(spec, ["--inh-caps=-all"], environment, str(folder), descriptors)["results"]
    finally:
        decoy.kill()
        decoy.wait()
        backend.close()
    counts = collections.Counter(kind for kind, *_ in results)
    for kind in REFUSALS.keys() - {"own"}:
        demand(counts[kind], f"control: nothing of the kind {kind} was tried")
    for kind, target, outcome, text in results:
        if kind == "function":
            demand(outcome not in UNREACHED, f"control: {target} was not reached ({outcome})")
        elif kind not in ("login", "connection", "open"):
            demand(outcome == "done", f"control: {kind}, {target}: {outcome}")
        if kind == "cursor":
            demand(deployment.victim.name in text, f"control: {target} does not show the victim")
    demand(any(kind == "login" and outcome == "done" for kind, _, outcome, _ in results), "control: root could log in as no other role")
    return counts


def take_over(deployment, endpoint, reached):
    """All attacks out of one endpoint's process, judged; how many there were of each kind."""
    process = deployment.processes.of(endpoint)[0]
    status, environment = status_of(process), environment_of(process)
    demand(status["Uid"][0] != "0" and int(status["CapEff"][0], 16) == 0 and status["NoNewPrivs"] == ["1"], f"{endpoint} has rights")
    results = run_in_place_of(process, deployment.spec(endpoint))
    counts = collections.Counter(kind for kind, *_ in results if kind != "control")
    for kind, target, outcome, text in results:
        if kind != "control":
            demand(is_refused(kind, target, outcome), f"{endpoint}: {kind}, {target}: {outcome} {text[:200]}")
            shown = any(mark in text for mark in deployment.victim.marks)
            demand(not shown, f"{endpoint}: {kind}, {target} shows what is the victim's: {text[:200]}")
    judge_functions(deployment, endpoint, results, counts, reached)
    counts["forged"] = judge_keys(deployment, endpoint, environment)
    return counts


def is_refused(kind, target, outcome):
    if kind in ("connection", "open") or kind == "own" and target.split(" ")[0] in WORDLESS:
        return True  # Judged by what it shows.
    if kind in ("process", "trace", "signal") and outcome in ("ENOENT", "ESRCH"):
        return not is_alive(target.rpartition("#")[2])  # It has ended meanwhile, as workers do.
    return outcome in REFUSALS[kind]


def judge_functions(deployment, endpoint, results, counts, reached):
    """Whether the endpoint's own functions do what they are there for, so that what they refused was not a mistake; and whether all
    those of others were tried."""
    own = deployment.own_functions(endpoint)
    connections = [outcome for kind, _, outcome, _ in results if kind == "connection"]
    demand((connections == ["done"]) == bool(own), f"{endpoint}: its connection to Postgres: {connections}")
    controls = [(target, outcome, text) for kind, target, outcome, text in results if kind == "control"]
    demand(len(controls) == len(own), f"{endpoint}: not all of its functions were called")
    for target, outcome, _ in controls:
        demand(outcome in ("done", "nothing"), f"{endpoint}: {target}: {outcome}")
    if endpoint in READERS:
        shown = any(mark in text for _, _, text in controls for mark in deployment.victim.marks)
        demand(shown, f"{endpoint}: its functions do not show the victim what is theirs")
    if own:
        demand(counts["read"] == reached["read"] and counts["write"] == reached["write"], f"{endpoint}: not all tables were tried")
        demand(counts["function"] == reached["function"] - len(own), f"{endpoint}: not all functions were tried")


def judge_keys(deployment, endpoint, environment):
    """What the secrets of an endpoint's environment make; how many forgeries were tried."""
    foreign = sorted(FOREIGN & environment.keys())
    demand(not foreign, f"{endpoint} holds {', '.join(foreign)}")
    demand(not any(deployment.stripe_key in value for value in environment.values()), f"{endpoint} holds Stripe's API key")
    entries = [entry.split(":") for entry in environment.get("TOKEN_KEYS", "").split(",") if entry]
    purposes = {entry[1] if len(entry) == 3 else "root" for entry in entries}
    demand(purposes == ENDPOINTS[endpoint], f"{endpoint} holds keys for {purposes or 'nothing'}")
    taken, tried = forge(deployment.site, environment, deployment.victim)
    demand(set(taken) == MAKES.get(endpoint, set()), f"{endpoint} makes {dict(taken)}")
    return tried


def control_keys(deployment):
    """The root key and the webhook's secret make all that the endpoints' keys did not. This renews the victim's session, and so is last."""
    files = {"TOKEN_KEYS": "token-keys", "STRIPE_WEBHOOK_SECRETS": "webhook-secret"}
    root = {name: (deployment.state / file).read_text().strip() for name, file in files.items()}
    taken, _ = forge(deployment.site, root, deployment.victim)
    makes = {"token": {"EdDSA access token"}, "refresh": {"refresh token"}, "cursor": {"cursor"}, "share": {"share"}, "event": {""}}
    demand(taken == makes, f"control: the root key makes {dict(taken)}")
    processes = Processes(deployment.serve)
    for name, program in (("GEMINI_API_KEY", "cron-worker"), ("STRIPE_SECRET_KEY", "subscribe-pro")):
        demand(name in environment_of(processes.of(program)[0]), f"control: {program} has no {name}")


def main():
    deployment = Deployment(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    reached = control(deployment, deployment.state.parent / "decoy")
    print(f"takeover: root and the superuser can do all of it: {sum(reached.values())} things", flush=True)
    for endpoint in ENDPOINTS:
        counts = take_over(deployment, endpoint, reached)
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(counts.items()))
        print(f"takeover: {endpoint}: {sum(counts.values())} tried, {kinds}", flush=True)
    control_keys(deployment)
    for failure in failures:
        print(f"takeover: NOT SO: {failure}", file=sys.stderr)
    sys.exit(bool(failures))


main()
