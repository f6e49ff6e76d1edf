# shellcheck shell=bash
# Whether others than this host can reach a deployment, and what it may not do then. Sourced by bin/serve, whose die it uses.

# Refuses to start where strangers could come in by what is there for trials: codes in the response sign in anyone as anyone, and
# a sandbox is not what users of a public site talk to or pay at. PUBLIC_TRIAL=on says that this is meant.
check_exposure() { # ADDRESS PUBLIC_URL
    local why missing=()
    [[ ${PUBLIC_TRIAL:-off} == on || ${PUBLIC_TRIAL:-off} == off ]] || die "PUBLIC_TRIAL $PUBLIC_TRIAL is neither on nor off"
    if ! is_loopback_address "$1"; then
        why="ADDRESS $1"
    elif ! is_loopback_url "$2"; then
        why="PUBLIC_URL $2"
    else
        return 0
    fi
    [[ ${PUBLIC_TRIAL:-off} == off ]] || return 0
    case ${OTP_DELIVERY:-response} in
        response) missing+=("OTP_DELIVERY (twilio, webhook or log: in the response, anyone could sign in as anyone)") ;;
        twilio) [[ -n ${TWILIO_ACCOUNT_SID-} ]] || missing+=(TWILIO_ACCOUNT_SID) ;;
    esac
    [[ -n ${GEMINI_API_KEY-}${GEMINI_API_KEYS-}${GEMINI_BASE_URL-} ]] || missing+=(GEMINI_API_KEY)
    [[ ${STRIPE:-on} == off || -n ${STRIPE_SECRET_KEY-} ]] || missing+=("STRIPE_SECRET_KEY (or STRIPE=off)")
    ((${#missing[@]} == 0)) || die "$why is public; set $(listed "${missing[@]}"), or PUBLIC_TRIAL=on for a trial in which nothing is safe"
}

listed() { # WORD…: with commas between
    printf %s "$1"
    shift
    (($# == 0)) || printf ', %s' "$@"
}

# Whether all that nginx would listen on under this name is loopback: the host's own resolver says what it stands for. What does not
# resolve is not.
is_loopback_address() { # ADDRESS
    local found
    found=$(getent ahosts "$(bare_host "$1")" | cut -d' ' -f1 | sort -u)
    [[ -n $found ]] && ! grep -qvE '^(127(\.[0-9]+){3}|::1|::ffff:127(\.[0-9]+){3})$' <<<"$found"
}

# Whether a browser elsewhere would be led to itself. Names are not looked up: a public one may well stand for 127.0.1.1 in this
# host's own /etc/hosts.
is_loopback_url() { # URL
    local host=${1#*://}
    host=${host%%[/?#\\]*}
    host=${host##*@}
    if [[ $host == \[*\]* ]]; then host=${host%%\]*}]; else host=${host%%:*}; fi
    host=$(bare_host "${host,,}")
    case $host in
        localhost | *.localhost) return 0 ;;
        *[!0-9a-f.:]* | '') return 1 ;;
        *[.:]*) is_loopback_address "$host" ;;
        *) return 1 ;;
    esac
}

bare_host() { # HOST: without the brackets of an IPv6 address and the dot at a name's end
    local host=${1#\[}
    host=${host%\]}
    echo "${host%.}"
}
