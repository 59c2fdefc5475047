#!/bin/sh
# Announces a PROOF session to the controller and waits for its first workers: vaf-session.sh WORKERS [SECONDS]
#
# For login scripts, and for VafOpen.C. SECONDS is how long to wait, 30 by default, 120 at most. It says in one line what
# came of it, and ends with 0 when workers are ready, 1 when none is yet, 2 when the controller was not asked or refused.
# Open the session in any case: without an announcement it only takes longer until the workers come.
#
# The site sets in /etc/vaf-autoscaler/session.conf, or whoever calls it in the environment:
#   VAF_API_URL          where `api.listen` is reached           [http://127.0.0.1:9630]
#   VAF_API_TOKEN_FILE   a token of `autoscaler token add NAME --scope sessions`; users must be able to read it
#                                                                [/etc/vaf-autoscaler/session-token]
#   VAF_API_CA_FILE      whom to trust, for https with a certificate of the site's own
#   VAF_SESSION_ID       what the session is called: told again, it is the same one  [host, process and time]
set -u

fail() {
    echo "vaf-session: $1" >&2
    exit 2
}

conf=${VAF_SESSION_CONF:-/etc/vaf-autoscaler/session.conf}
# What is in the environment already counts more.
url=${VAF_API_URL:-} token_file=${VAF_API_TOKEN_FILE:-} ca_file=${VAF_API_CA_FILE:-}
if [ -r "$conf" ]; then
    . "$conf"
fi
url=${url:-${VAF_API_URL:-http://127.0.0.1:9630}}
token_file=${token_file:-${VAF_API_TOKEN_FILE:-/etc/vaf-autoscaler/session-token}}
ca_file=${ca_file:-${VAF_API_CA_FILE:-}}

workers=${1:-} wait_s=${2:-30}
for number in "$workers" "$wait_s"; do
    # A leading zero would make it octal.
    case $number in
        '' | *[!0-9]* | 0?* | ???????*) fail "usage: vaf-session.sh WORKERS [SECONDS], as in: vaf-session.sh 8 30" ;;
    esac
done
[ "$wait_s" -le 120 ] || fail "SECONDS may be 120 at most"
[ -r "$token_file" ] || fail "$token_file cannot be read: it has to hold a token of the scope sessions"
read -r token < "$token_file"
[ -n "$token" ] || fail "$token_file is empty: it has to hold a token of the scope sessions"

host=$(uname -n | tr -cd 'A-Za-z0-9.-')
user=$(id -un | tr -cd 'A-Za-z0-9._@-')
session=${VAF_SESSION_ID:-$host-$$-$(date +%s)}
case $session in
    *[!A-Za-z0-9._:@-]*) fail "VAF_SESSION_ID may have letters, digits and . _ : @ - only" ;;
esac
body=$(printf '{"id": "%s", "workers": %d, "user": "%s", "wait_s": %d}' "$session" "$workers" "$user" "$wait_s")

# The token goes through the standard input: everybody sees a command's words.
answer=$(
    {
        printf 'header = "Authorization: Bearer %s"\n' "$token"
        if [ -n "$ca_file" ]; then printf 'cacert = "%s"\n' "$ca_file"; fi
    } | curl --config - --silent --show-error --connect-timeout 5 --max-time $((wait_s + 10)) \
        --header 'Content-Type: application/json' --data "$body" --write-out '\n%{http_code}' \
        "${url%/}/api/v1/sessions" 2>&1
) || fail "$url does not answer: $(echo "$answer" | head -n 1)"

status=$(echo "$answer" | tail -n 1)
number() {
    echo "$answer" | sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p"
}
text() {
    echo "$answer" | sed -n "s/.*\"$1\":\"\([^\"]*\).*/\1/p"
}
case $status in
    200) [ "$(text state)" = ready ] || { echo "vaf-session: $session is no longer announced"; exit 1; } ;;
    202) echo "vaf-session: no worker is ready yet: $(text reason)"; exit 1 ;;
    *) fail "$url refused it ($status): $(text error)" ;;
esac
echo "vaf-session: $(number workers_ready) of $workers workers are ready"
