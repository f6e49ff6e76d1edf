# shellcheck shell=bash
# The state folder is one bin/serve's at a time. Sourced by bin/serve, whose say, die, state, endpoints and child it uses.

# Every child inherits the lock: it is free when the last of them has ended. The file has the pid of bin/serve, then those of its children.
lock_state() {
    local lock first holders log is_new=
    mkdir -p "$state" 2>/dev/null || true # the next line says it
    [[ -d $state && -w $state ]] || die "cannot write to STATE_DIR $state"
    [[ -e $state/lock ]] || is_new=yes
    if ! flock -n "$state/lock" true; then
        first=$(head -1 "$state/lock")
        holders=$(lock_holders)
        ! grep -qxF "$first" <<<"$holders" || die "already running with STATE_DIR $state (pid $first)"
        say "waiting for the end of what a killed bin/serve left running"
        flock -w 3 "$state/lock" true || lock_holders | xargs -r kill -KILL 2>/dev/null || true
    fi
    exec {lock}<"$state/lock" # to read: no child can write there
    flock -w 2 "$lock" || die "STATE_DIR $state is in use"
    note_children
    # A new state knows no tokens of the release before (keys.sh).
    [[ -z $is_new ]] || echo 0 >"$state/keys-derived"
    mkdir -p "$state/log"
    chmod 700 "$state/log"
    for log in "$state"/log/*.log; do [[ ! -e $log ]] || mv "$log" "$log.1"; done
}

note_children() { printf '%s\n' $$ "${!child[@]}" >"$state/lock" || say "cannot write to $state/lock who runs"; }

# The kernel shows who has the lock open; of processes that are not dumpable only to root. An ordinary user knows those by their program and
# by their session, whose head is a child of that bin/serve.
lock_holders() { # find and cat fail on each process that ends meanwhile
    { find -L /proc/[0-9]*/fd -maxdepth 1 -samefile "$state/lock" 2>/dev/null || true; } | cut -d/ -f3 | sort -u
    ((EUID)) || return 0
    { cat /proc/[0-9]*/stat 2>/dev/null || true; } |
        awk 'NF > 1 { if ($2 in program && $6 in head) print $1; next } /^\(/ { program[$1]; next } { head[$1] }' \
            <(printf '(%.15s)\n' "${endpoints[@]}" doze cron-worker) "$state/lock" -
}
