# shellcheck shell=bash
# Postgres clusters of our own, reached through a Unix socket only. Sourced by bin/serve and by tests.
#
# Postgres refuses root, so root runs it as the account postgres. That account may not be able to reach the folder by its name
# (a clone under /root); so it is always handed over opened, as a descriptor.

if ((EUID == 0)); then
    as_postgres=(--reuid postgres --regid postgres --init-groups)
else
    as_postgres=()
fi

postgres_bin() { # [DATA]: where the programs are of the version that made DATA, else of the newest one installed
    local made_by=none
    [[ ! -f ${1-}/PG_VERSION ]] || made_by=$(<"$1/PG_VERSION")
    [[ -d /usr/lib/postgresql/$made_by/bin ]] || made_by=$(printf '%s\n' /usr/lib/postgresql/*/bin/initdb | sort -V | tail -1 | cut -d/ -f5)
    echo "/usr/lib/postgresql/$made_by/bin"
}

make_cluster() { # DATA [peer]: map_accounts then says which account may be which role; without, anyone may be anyone (tests, in a 0700 folder)
    local data=$1 new=$1.new method=${2-trust} flags=()
    [[ $method == peer ]] || flags=(--no-sync)
    rm -rf "$new"
    install -d -m 700 ${as_postgres:+-o postgres -g postgres} "$new"
    (
        exec {folder}<"$new"
        bin=$(postgres_bin)
        cd /
        exec setpriv --pdeathsig TERM --no-new-privs "${as_postgres[@]}" "$bin/initdb" -D "/proc/self/fd/$folder" --username postgres --auth "$method" \
            --encoding UTF8 --locale C.UTF-8 --data-checksums --no-instructions "${flags[@]}"
    ) || return
    mv "$new" "$data" # only a whole cluster gets the name
}

# Says which account may be which role: in DATABASE, and elsewhere only the superuser. One line each: Postgres 15 knows no pattern for roles.
map_accounts() { # DATA DATABASE ACCOUNT=ROLE…
    printf 'local %s peer map=accounts\n' "all postgres" "$2 all" >"$1/pg_hba.conf"
    printf 'accounts %s\n' "${@:3}" | tr = ' ' >"$1/pg_ident.conf"
}

run_postgres() { # DATA SOCKETS [SETTING=VALUE…]: become the server; it logs to stderr, and ends when its parent does
    local bin folder settings=(port=5432 listen_addresses= "unix_socket_directories=$2" "${@:3}")
    bin=$(postgres_bin "$1")
    exec {folder}<"$1"
    cd /
    exec setsid setpriv --pdeathsig INT --no-new-privs "${as_postgres[@]}" "$bin/postgres" -D "/proc/self/fd/$folder" "${settings[@]/#/--}"
}

# For tests: nothing survives a crash of the machine
# shellcheck disable=SC2034
fast=(fsync=off synchronous_commit=off full_page_writes=off)

wait_for_postgres() { # SOCKETS PID: until it answers (recovery after a crash takes its time); fails when it has ended
    until "$(postgres_bin)/pg_isready" -q -h "$1" -p 5432; do
        kill -0 "$2" 2>/dev/null || return
        sleep 0.05
    done
}

# A database is copied as files, as before Postgres 15: through the buffers it leaves 3 MB of them in use that nobody reads again.
make_database() { # SOCKETS NAME ROLE: where they don't exist yet; the role owns it, and nobody logs in as that
    "$(postgres_bin)/psql" -qX -v ON_ERROR_STOP=1 -h "$1" -p 5432 -U postgres postgres <<SQL
select 'create role $3 nologin' where not exists (select from pg_roles where rolname = '$3') \gexec
select 'create database $2 owner $3' ||
    case when current_setting('server_version_num')::int < 150000 then '' else ' strategy file_copy' end
    where not exists (select from pg_database where datname = '$2') \gexec
alter role $3 nologin
SQL
}
