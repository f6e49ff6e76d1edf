# shellcheck shell=bash
# The accounts of a deployment's processes. As root each endpoint runs as chat-NAME, the worker as chat-worker and the sandboxes as
# chat-sandbox, so that none can read another's memory, environment or connection; an ordinary user's processes share the user's account.
# Sourced by bin/serve, whose say, die, endpoints and run it uses.

# What every process is bound by: it ends with bin/serve, and no program that it becomes has more rights.
bounds=(--pdeathsig TERM --no-new-privs)

# Makes the accounts that are missing. Another bin/serve that starts at the same time waits for it.
make_accounts() {
    local turn name missing
    if ((EUID)); then
        say "all processes run as $(id -un): endpoints share an account and are not kept apart, as they are where root starts bin/serve"
        return
    fi
    [[ -n $(missing_accounts) ]] || return 0
    exec {turn}>/run/chat-accounts.lock
    flock "$turn"
    mapfile -t missing < <(missing_accounts)
    ((${#missing[@]} == 0)) || say "making ${#missing[@]} accounts, such as ${missing[0]}"
    getent group chat >/dev/null || groupadd --system chat || die "could not make the group chat"
    for name in "${missing[@]}"; do make_account "$name" || die "could not make the account $name"; done
    exec {turn}>&-
}

account_names() { printf 'chat-%s\n' "${endpoints[@]}" worker sandbox; }

missing_accounts() { account_names | grep -vxFf <(getent passwd | cut -d: -f1) || true; }

make_account() { # NAME: with a group of its own; members of chat may ring the worker's doorbell and count connections
    local groups=(--groups chat)
    [[ $1 != chat-sandbox ]] || groups=()
    if getent group "$1" >/dev/null; then groups+=(--gid "$1"); else groups+=(--user-group); fi
    useradd --system "${groups[@]}" --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin "$1"
}

# Which account may be which role of our own Postgres.
account_roles() {
    local name me
    if ((EUID)); then
        me=$(id -un)
        for name in postgres chat-operator $(account_names); do echo "$me=$name"; done
    else
        printf '%s\n' root=postgres root=chat-operator postgres=postgres
        for name in $(account_names); do echo "$name=$name"; done
    fi
}

become() { # ACCOUNT COMMAND…: become it, as the head of a session and, where root starts it, under that account
    local account=()
    if ((EUID == 0)); then
        account=(--reuid "$1" --regid "$1" --init-groups)
        export HOME=/nonexistent # libpq looks for certificates there, and must be let in or find nothing
    fi
    exec setsid setpriv "${bounds[@]}" "${account[@]}" "${@:2}"
}

# Root binds the socket, in a folder where nobody else may write, and only nginx's account may connect to it. spawn-fcgi changes to the
# endpoint's account itself; the kernel then forgets about our death, so that is said again.
become_endpoint() { # NAME PROCESSES
    local owner=()
    if ((EUID == 0)); then
        owner=(-U www-data -u "chat-$1" -g "chat-$1")
        export HOME=/nonexistent
    fi
    # Six deaths within 200 ms of the start each, and multiwatch gives up: then we start it again, after a pause.
    exec setsid setpriv "${bounds[@]}" spawn-fcgi -n -s "$run/sockets/$1.sock" -M 0600 "${owner[@]}" -- \
        /usr/bin/setpriv "${bounds[@]}" /usr/bin/multiwatch -f "$2" -s TERM -r 5 -t 200 -- "./$1"
}
