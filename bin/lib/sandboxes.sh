# shellcheck shell=bash
# Gemini, Stripe and Twilio, or the sandboxes that stand in for them where no key is set. Sourced by bin/serve, whose say, die, start and
# taken it uses.

choose_gemini() {
    if [[ -n ${GEMINI_API_KEY-}${GEMINI_API_KEYS-}${GEMINI_BASE_URL-} ]]; then
        : "${GEMINI_BASE_URL:=https://generativelanguage.googleapis.com}" "${GEMINI_API_KEY:=none}"
        say "Gemini: $GEMINI_BASE_URL"
        return
    fi
    choose_port SANDBOX_PORT 9550
    GEMINI_BASE_URL=http://127.0.0.1:$SANDBOX_PORT GEMINI_API_KEY=sandbox
    say "Gemini: the sandbox on port $SANDBOX_PORT, as no GEMINI_API_KEY is set"
    start sandbox-gemini
}

choose_stripe() {
    if [[ ${STRIPE:-on} == off ]]; then
        unset STRIPE_SECRET_KEY
        say "Stripe: off; nobody can pay"
    elif [[ -n ${STRIPE_SECRET_KEY-} ]]; then
        say "Stripe: ${STRIPE_BASE_URL:-https://api.stripe.com}; its events go to $PUBLIC_URL/webhook/stripe"
    else
        choose_port SANDBOX_STRIPE_PORT 9552
        [[ -s $state/webhook-secret ]] || (umask 077 && echo "whsec_$(head -c 24 /dev/urandom | base64 | tr +/ -_)" >"$state/webhook-secret")
        STRIPE_SECRET_KEY=sk_test_sandbox STRIPE_WEBHOOK_SECRETS=$(<"$state/webhook-secret") STRIPE_PRICE_ID=price_sandbox_pro
        STRIPE_BASE_URL=http://127.0.0.1:$SANDBOX_STRIPE_PORT
        say "Stripe: the sandbox on port $SANDBOX_STRIPE_PORT, as no STRIPE_SECRET_KEY is set; no money moves"
        start sandbox-stripe
    fi
}

choose_sms() {
    [[ ${OTP_DELIVERY-} == twilio && -z ${TWILIO_ACCOUNT_SID-} ]] || return 0
    choose_port SANDBOX_SMS_PORT 9551
    TWILIO_ACCOUNT_SID=ACsandbox TWILIO_AUTH_TOKEN=sandbox-token TWILIO_FROM=+15005550006
    TWILIO_BASE_URL=http://127.0.0.1:$SANDBOX_SMS_PORT
    say "SMS: the sandbox on port $SANDBOX_SMS_PORT, as no TWILIO_ACCOUNT_SID is set; codes are at $TWILIO_BASE_URL/sandbox/messages"
    start sandbox-sms
}

choose_port() { # SETTING FIRST: gives the setting a port that is free, unless it has one that is
    local chosen=${!1-} port=${!1:-$2}
    while taken 127.0.0.1 "$port"; do
        [[ -z $chosen ]] || die "$1 $port is taken"
        ((port += 10)) # in such steps no two settings come to the same
    done
    printf -v "$1" %s "$port"
}
