# shellcheck shell=bash
# Debian packages. Sourced by bin/serve and bin/test, whose say and die it uses.

install_packages() { # PACKAGE…: those that are missing, as root or through sudo
    local package installed missing=() sudo=()
    # shellcheck disable=SC2016
    installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "$@" 2>/dev/null) || true
    for package; do
        grep -qxF "$package installed" <<<"$installed" || missing+=("$package")
    done
    ((${#missing[@]})) || return 0

    if ((EUID)); then
        command -v sudo >/dev/null || die "these Debian packages are missing, and there is no sudo to install them: ${missing[*]}"
        sudo=(sudo)
    fi
    say "installing${sudo:+ with sudo} from Debian: ${missing[*]}"
    # policy-rc.d keeps the packages from starting an nginx on port 80 and a Postgres on 5432, which we have no use for.
    "${sudo[@]}" sh -c '
        if ! [ -e /usr/sbin/policy-rc.d ]; then
            trap "rm -f /usr/sbin/policy-rc.d" EXIT
            trap "exit 1" INT TERM
            printf "#!/bin/sh\nexit 101\n" >/usr/sbin/policy-rc.d
            chmod 755 /usr/sbin/policy-rc.d
        fi
        export DEBIAN_FRONTEND=noninteractive
        apt-get -q update && apt-get -qy --no-install-recommends install "$@"' sh "${missing[@]}" ||
        die "could not install ${missing[*]}"
}
