"""What somebody's code tries that has taken a handler over. takeover.py starts it with the handler's account, environment and descriptors,
and judges what came of it.

Reads from stdin, as JSON, what there is to attack. Prints [KIND, TARGET, OUTCOME, TEXT] of each thing that it tried: the outcome is "done",
the word of a function's verdict, or why it was refused (an SQLSTATE, the name of an errno); the text is what it got to read. It needs no
more than Python's standard library and libpq, and undoes in Postgres what succeeds.
"""
import ctypes
import errno
import json
import os
import re
import socket
import stat
import sys

PTRACE_ATTACH, PTRACE_DETACH, WAIT_FOR_ALL = 16, 17, 0x40000000
PIDFD_GETFD = 438
# What Postgres shows to its superuser only.
CATALOGUE = (
    "pg_authid", "pg_shadow", "pg_statistic", "pg_user_mapping", "pg_largeobject", "pg_hba_file_rules", "pg_file_settings",
)
MAKES = (
    "create table public.intruder ()", "create table api.intruder ()", "create temp table intruder ()", "create table pg_temp.users ()",
    "create schema intruder", "create type api.intruder as (a int)", "create view api.intruder as select 1", "create role intruder",
    "create function public.intruder() returns int language sql return 1",
    "create function api.intruder() returns int language sql return 1",
    "create function pg_temp.intruder() returns int language sql return 1", "do $$ begin end $$",
    "create publication intruder for all tables",
)
OPERATES = (
    "copy (select 1) to program 'true'", "copy (select 1) to '/dev/null'", "select pg_read_file('PG_VERSION')", "select pg_ls_dir('.')",
    "select lo_create(0)", "select lo_from_bytea(0, '')", "select lo_import('/etc/hostname')", "select pg_try_advisory_xact_lock(424242)",
    "select query_to_xml('select username from public.users', true, false, '')", "set local session_replication_role = replica",
    "load 'plpgsql'", "select pg_reload_conf()", "set session authorization postgres", "alter role postgres set work_mem = '4MB'",
    "alter database app set work_mem = '4MB'",
)

results = []
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long] * 4
libc.ptrace.restype = ctypes.c_long


class Refused(Exception):
    """Why something was refused, in a word."""


class Postgres:
    """A connection through libpq."""
    libpq = ctypes.CDLL("libpq.so.5")
    for name in ("PQconnectdbParams", "PQexecParams"):
        getattr(libpq, name).restype = ctypes.c_void_p
    for name in ("PQerrorMessage", "PQresultErrorField", "PQfname", "PQgetvalue"):
        getattr(libpq, name).restype = ctypes.c_char_p

    def __init__(self, url, **settings):
        """Connects as the URL says, but for these settings."""
        names = ["dbname", "connect_timeout", *settings]
        values = [url, "5", *settings.values()]
        self.connection = ctypes.c_void_p(self.libpq.PQconnectdbParams(self.texts(names), self.texts(values), 1))
        if self.libpq.PQstatus(self.connection) != 0:
            message = self.libpq.PQerrorMessage(self.connection).decode()
            self.close()
            raise Refused(self.reason(message))

    @staticmethod
    def reason(message):
        """Why there is no connection; libpq gives no SQLSTATE of it."""
        for words, reason in (
            ("Peer authentication failed", "peer"), ("no pg_hba.conf entry", "pg_hba"), ("pg_hba.conf rejects", "pg_hba"),
            ("permission denied for database", "42501"), ("does not exist", "no role"),
        ):
            if words in message:
                return reason
        return message.strip()

    @staticmethod
    def texts(values):
        encoded = [None if value is None else str(value).encode() for value in values]
        return (ctypes.c_char_p * (len(encoded) + 1))(*encoded, None)

    def run(self, sql, *parameters):
        """The rows as dictionaries of text."""
        result = ctypes.c_void_p(self.libpq.PQexecParams(
            self.connection, sql.encode(), len(parameters), None, self.texts(parameters), None, None, 0))
        try:
            if self.libpq.PQresultStatus(result) not in (1, 2):
                code = self.libpq.PQresultErrorField(result, ord("C"))
                raise Refused(code.decode() if code else self.libpq.PQerrorMessage(self.connection).decode().strip())
            columns = range(self.libpq.PQnfields(result))
            return [{self.libpq.PQfname(result, column).decode(): self.value(result, row, column) for column in columns}
                    for row in range(self.libpq.PQntuples(result))]
        finally:
            self.libpq.PQclear(result)

    def value(self, result, row, column):
        if self.libpq.PQgetisnull(result, row, column):
            return None
        return self.libpq.PQgetvalue(result, row, column).decode(errors="replace")

    def close(self):
        self.libpq.PQfinish(self.connection)


def attempt(kind, target, action, *arguments):
    """Tries something, and notes what came of it. Rows are noted with their verdict."""
    outcome, text = "done", ""
    try:
        value = action(*arguments)
        if isinstance(value, list):
            text = json.dumps(value, ensure_ascii=False)
            if not value:
                outcome = "nothing"
            elif value[0].get("verdict"):
                outcome = value[0]["verdict"]
    except Refused as refusal:
        outcome = str(refusal)
    except OSError as error:
        outcome = errno.errorcode.get(error.errno, str(error))
    results.append([kind, target, outcome, text])


def attack_postgres(spec, url):
    for role in spec["logins"]:
        attempt("login", role, lambda: Postgres(url, user=role).close())
    for name in spec["databases"]:
        attempt("database", name, lambda: Postgres(url, dbname=name).close())
    try:
        database = Postgres(url)
    except Refused as refusal:
        results.append(["connection", "its own", str(refusal), ""])
        return
    results.append(["connection", "its own", "done", ""])
    database.run("set statement_timeout = '5s'")
    database.run("set lock_timeout = '2s'")
    attack_tables(database)
    for sql in MAKES:
        attempt("make", sql, undone, database, sql)
    for sql in [*OPERATES, f"grant {spec['owner']} to current_user"]:
        attempt("operate", sql, undone, database, sql)
    for backend in spec["backends"]:
        attempt("backend", f"end {backend}", ends_backend, database, backend)
    for role in spec["roles"]:
        attempt("role", role, undone, database, f'set local role "{role}"')
    attempt("look", "the statements of others", looks, database, """
        select query from pg_stat_activity where usename is distinct from current_user and query not in ('', '<insufficient privilege>')""")
    attempt("look", "statistics of columns", looks, database, "select * from pg_stats where schemaname in ('public', 'api') limit 5")
    attack_functions(database, spec)
    database.close()


def undone(database, sql, *parameters):
    """The rows of a statement in a transaction that is rolled back."""
    database.run("begin")
    try:
        return database.run(sql, *parameters) or None
    finally:
        database.run("rollback")


def looks(database, sql):
    """The rows of a view that hides what is not the caller's."""
    rows = database.run(sql)
    if not rows:
        raise Refused("hidden")
    return rows


def ends_backend(database, backend):
    [answer] = undone(database, "select pg_terminate_backend($1) as is_there", backend)
    if answer["is_there"] == "f":
        raise Refused("gone")


def attack_tables(database):
    for name in CATALOGUE:
        attempt("read", name, undone, database, f"select * from pg_catalog.{name} limit 5")
    relations = database.run("""
        select format('%I.%I', n.nspname, c.relname) as name, c.relkind, a.column, a.type
        from pg_class c join pg_namespace n on n.oid = c.relnamespace left join lateral (
            select quote_ident(a.attname) as column, format_type(a.atttypid, a.atttypmod) as type
            from pg_attribute a join pg_type t on t.oid = a.atttypid
            where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = '' and a.attidentity = ''
            order by t.typnamespace = 'pg_catalog'::regnamespace desc, a.attnum limit 1
        ) a on true
        where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and n.nspname !~ '^(pg_|information_schema$)' order by 1""")
    for relation in relations:
        name, column = relation["name"], relation["column"]
        attempt("read", name, undone, database, f"select * from {name} limit 5")
        if relation["relkind"] in "rp":
            insert = f"insert into {name} ({column}) select null::{relation['type']} where false"
            attempt("write", f"insert {name}", undone, database, insert)
            attempt("write", f"update {name}", undone, database, f"update {name} set {column} = {column} where false")
            attempt("write", f"delete {name}", undone, database, f"delete from {name} where false")


def attack_functions(database, spec):
    """Calls those of others, which is to be refused, and its own in the name of people who have not asked for it."""
    functions = database.run("""
        select n.nspname as schema, p.proname as name, p.pronargs as count, p.prosrc as source,
            array_to_json((p.proargnames)[:p.pronargs]) as names,
            (select json_agg(format_type(t.oid, null) order by t.n) from unnest(p.proargtypes) with ordinality t (oid, n)) as types
        from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname in ('public', 'api') and p.prokind = 'f'
        order by 1, 2""")
    own = [function for function in functions if function["schema"] == "api" and function["name"] in spec["own"]]
    for function in functions:
        if function not in own:
            nulls = ", ".join(["null"] * int(function["count"]))
            attempt("function", f"{function['schema']}.{function['name']}", undone, database,
                    f'select * from {function["schema"]}."{function["name"]}"({nulls})')
    for function in own:
        function["parameters"] = list(zip(json.loads(function["names"] or "[]"), json.loads(function["types"] or "[]")))
        function["asks"] = any(name in ("caller", "callers") for name, _ in function["parameters"])
    # What asks who calls comes first: it may open what the others go on with.
    own.sort(key=lambda function: (not function["asks"], function["name"]))
    for who, values in spec["calls"].items():
        database.run("begin")
        for function in own:
            kind = who if who == "control" else "own" if function["asks"] else "open"
            attempt(kind, f"{function['name']} as {who}", call, database, function, values)
        database.run("rollback")
    attack_cursors(database, own, spec)


def attack_cursors(database, own, spec):
    """Declares a cursor of a name that a function of its own reads from: what the cursor calls runs as whoever fetches."""
    sources = " ".join(function["source"] for function in own)
    names = {"stolen", *re.findall(r"refcursor *:= *'(\w+)'", sources)}
    for name in sorted(names):
        database.run("begin")
        attempt("open", f"declare {name}", database.run,
                f"declare {name} no scroll cursor for select query_to_xml('select * from public.users', true, false, '')::text")
        for function in own:
            attempt("open", f"{function['name']} with a cursor {name}", call, database, function, next(iter(spec["calls"].values())))
        attempt("cursor", f"fetch from {name}", database.run, f"fetch 1 from {name}")
        database.run("rollback")


def call(database, function, values):
    """Calls one of its own functions, within a transaction, with the values that its parameters have by their names."""
    places = ", ".join(f"${number + 1}" for number in range(len(function["parameters"])))
    arguments = [values.get(f"{name} {kind}", values.get(name)) for name, kind in function["parameters"]]
    database.run("savepoint before")
    try:
        return database.run(f"select * from api.{function['name']}({places})", *arguments)
    except Refused:
        database.run("rollback to before")
        raise


def attack_sockets(spec):
    for path in spec["sockets"]:
        attempt("socket", path, connects, path)
    for folder, entry in spec["folders"]:
        attempt("folder", f"make a file in {folder}", makes_file, os.path.join(folder, "intruder"))
        attempt("folder", f"bind a socket in {folder}", binds, os.path.join(folder, "intruder.sock"))
        if entry:
            path = os.path.join(folder, entry)
            attempt("folder", f"chmod {path}", os.chmod, path, 0o777)
            attempt("folder", f"rename {path}", renames, path)
            attempt("folder", f"unlink {path}", os.unlink, path)


def connects(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as end:
        end.settimeout(1)
        end.connect(path)


def makes_file(path, folder=None):
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600, dir_fd=folder))
    os.unlink(path, dir_fd=folder)


def binds(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as end:
        end.bind(path)
    os.unlink(path)


def renames(path):
    os.rename(path, f"{path}.old")
    os.rename(f"{path}.old", path)


def attack_processes(spec):
    for name, pid in spec["processes"]:
        for file in ("environ", "mem", "maps"):
            attempt("process", f"{file} of {name}", lambda: os.close(os.open(f"/proc/{pid}/{file}", os.O_RDONLY)))
        attempt("process", f"fd of {name}", lambda: bool(os.listdir(f"/proc/{pid}/fd")))
        attempt("trace", f"ptrace {name}", traces, pid)
        attempt("trace", f"memory of {name}", reads_memory, pid)
        attempt("trace", f"descriptor of {name}", takes_descriptor, pid)
    # Whoever may not send signal 0 may send none.
    for name, pid in spec["signals"]:
        attempt("signal", name, os.kill, pid, 0)


def succeeded(value):
    if value < 0:
        raise OSError(ctypes.get_errno(), "")
    return value


def traces(pid):
    succeeded(libc.ptrace(PTRACE_ATTACH, pid, 0, 0))
    os.waitpid(pid, WAIT_FOR_ALL)
    succeeded(libc.ptrace(PTRACE_DETACH, pid, 0, 0))


class Piece(ctypes.Structure):
    _fields_ = [("start", ctypes.c_void_p), ("length", ctypes.c_size_t)]


def reads_memory(pid):
    """Whoever may read another's memory is told, of an address where nothing is, EFAULT."""
    buffer = ctypes.create_string_buffer(8)
    here, there = Piece(ctypes.addressof(buffer), 8), Piece(4096, 8)
    libc.process_vm_readv.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_ulong]
    libc.process_vm_readv.restype = ctypes.c_ssize_t
    try:
        succeeded(libc.process_vm_readv(pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0))
    except OSError as error:
        if error.errno != errno.EFAULT:
            raise


def takes_descriptor(pid):
    """Descriptor 0 of another; there may be none, which only those are told who may ask."""
    process = os.pidfd_open(pid)
    try:
        os.close(succeeded(libc.syscall(PIDFD_GETFD, process, 0, 0)))
    except OSError as error:
        if error.errno != errno.EBADF:
            raise
    finally:
        os.close(process)


def attack_files(spec):
    for path in spec["files"]:
        attempt("file", path, lambda: os.close(os.open(path, os.O_RDONLY)))
    for descriptor in spec["descriptors"]:
        mode, place = os.fstat(descriptor).st_mode, os.readlink(f"/proc/self/fd/{descriptor}")
        if stat.S_ISREG(mode):
            path = f"/proc/self/fd/{descriptor}"
            attempt("descriptor", f"reopen {place} to write", lambda: os.close(os.open(path, os.O_RDWR)))
        elif stat.S_ISDIR(mode):
            attempt("descriptor", f"make a file in {place}", makes_file, "intruder", descriptor)
            for name in spec["secrets"]:
                attempt("descriptor", f"open {name} from {place}", lambda: os.close(os.open(name, os.O_RDONLY, dir_fd=descriptor)))


def main():
    spec = json.load(sys.stdin)
    attack_postgres(spec, os.environ.get("DATABASE_URL", spec["url"]))
    attack_sockets(spec)
    attack_processes(spec)
    attack_files(spec)
    with open("/proc/self/status") as status:
        rights = dict(line.rstrip("\n").split(":\t", 1) for line in status if ":\t" in line)
    rights = {name: rights[name].split() for name in ("Uid", "Gid", "Groups", "CapEff", "NoNewPrivs")}
    json.dump({"results": results, "rights": rights}, sys.stdout)


if __name__ == "__main__":
    main()
