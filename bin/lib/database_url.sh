# shellcheck shell=bash
# DATABASE_URL for programs that take it as an argument, which every user of the host can read: without its password, which goes
# into the environment. Sourced by bin/serve and bench/fill.

# Sets `place` to a connection string of libpq, a URI or keyword=value, without its passwords, and exports PGPASSWORD where it has one.
# For a subshell. Source: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING
hide_password() { # CONNECTION-STRING
    if [[ $1 =~ ^(postgres(ql)?://)([^@/]*@)?([^?]*)(\?(.*))?$ ]]; then
        hide_password_of_uri "${BASH_REMATCH[1]}" "${BASH_REMATCH[3]}" "${BASH_REMATCH[4]}" "${BASH_REMATCH[6]}"
    else
        hide_password_of_keywords "$1"
    fi
}

hide_password_of_uri() { # SCHEME USER:PASSWORD@ HOSTS/DATABASE PARAMETERS
    local secret parameter parameters=() kept=()
    if [[ $2 == *:* ]]; then
        secret=${2#*:}
        uri_password "${secret%@}"
        set -- "$1" "${2%%:*}@" "$3" "$4"
    fi
    IFS='&' read -ra parameters <<<"$4" || true
    for parameter in "${parameters[@]}"; do
        case $parameter in
            password=*) uri_password "${parameter#*=}" ;;
            sslpassword=*) ;; # libpq takes it from nowhere else
            *) kept+=("$parameter") ;;
        esac
    done
    place=$1$2$3$(IFS='&' && echo "${kept[*]+?${kept[*]}}")
}

uri_password() { # TEXT, percent-encoded
    local text=${1//\\/\\\\}
    printf -v PGPASSWORD %b "${text//%/\\x}"
    export PGPASSWORD
}

hide_password_of_keywords() { # TEXT
    local rest=$1 word="'(\\\\.|[^'\\\\])*'|(\\\\.|[^[:space:]\\\\])*" pair name value
    place=
    while [[ $rest =~ ^[[:space:]]*([a-z_]+)[[:space:]]*=[[:space:]]*($word) ]]; do
        pair=${BASH_REMATCH[0]} name=${BASH_REMATCH[1]} value=${BASH_REMATCH[2]}
        rest=${rest:${#pair}}
        case $name in
            password)
                [[ $value != \'* ]] || value=${value:1:-1}
                PGPASSWORD=$(sed 's/\\\(.\)/\1/g' <<<"$value")
                export PGPASSWORD
                ;;
            sslpassword) ;;
            *) place+=$pair ;;
        esac
    done
    place+=$rest
}
