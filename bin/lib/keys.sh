# shellcheck shell=bash
# TOKEN_KEYS: the root of all keys, and what of it each process gets. Sourced by bin/serve, whose say, die, last_line, restart and state
# it uses.

declare -A keys=() # process -> its TOKEN_KEYS; many have none
old_tokens_end=0   # the Unix time at which access tokens of the release before have expired; 0: they have

make_token_keys() {
    [[ -z ${TOKEN_KEYS-} ]] || return 0
    [[ -s $state/token-keys ]] || (umask 077 && echo "1:$(head -c 32 /dev/urandom | base64)" >"$state/token-keys")
    TOKEN_KEYS=$(<"$state/token-keys")
}

# Gives each process the keys of its purposes, and forgets the root. The release before signed access tokens with the root's keys: until
# those tokens have expired, the endpoints verify them too.
derive_keys() {
    local derived name value flags=()
    [[ -s $state/keys-derived ]] || echo $((EPOCHSECONDS + ${ACCESS_TOKEN_SECONDS:-3600})) >"$state/keys-derived"
    old_tokens_end=$(<"$state/keys-derived")
    if ((EPOCHSECONDS < old_tokens_end)); then flags=(--old-tokens); else old_tokens_end=0; fi
    derived=$(export TOKEN_KEYS && ./cron-worker --keys "${flags[@]}" 2>>"$state/log/keys.log") ||
        die "TOKEN_KEYS cannot be used: $(last_line keys)"
    unset TOKEN_KEYS
    while read -r name value; do keys[$name]=$value; done < <(printf '%s\n' "$derived")
}

# Takes the keys of old access tokens from the endpoints, one after another, when these tokens have expired: as many as a second allows, for
# whoever supervises calls this each second and has more to do.
end_old_tokens() {
    local name entry entries kept began=$SECONDS
    for name in "${!keys[@]}"; do
        [[ ${keys[$name]} == *:old:* ]] || continue
        ((SECONDS == began)) || return 0
        kept=
        IFS=, read -ra entries < <(printf '%s\n' "${keys[$name]}")
        for entry in "${entries[@]}"; do [[ $entry == *:old:* ]] || kept+=${kept:+,}$entry; done
        keys[$name]=$kept
        restart "$name"
    done
    old_tokens_end=0
    say "access tokens of the release before have expired; the endpoints have restarted without the keys for them"
}
