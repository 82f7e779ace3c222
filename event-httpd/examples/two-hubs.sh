#!/bin/sh
# Two hubs that share a store in Redis: what is published on one reaches a subscriber of the other.
#
# usage: two-hubs.sh [PATH OF event-httpd]
#
# Needs redis-server, curl and openssl. Everything runs on this machine and ends with the script;
# on two machines, the same `event-httpd hub --store redis://…` runs on each.
set -eu

program=${1:-event-httpd}
key='a secret of at least 32 bytes, for you alone'
path=/.well-known/mercure
directory=$(mktemp -d)
started=

end() {
    # shellcheck disable=SC2086 # one argument for each process
    [ -z "$started" ] || kill $started 2>/dev/null || true
    wait
    rm -rf "$directory"
}
trap end EXIT
trap 'exit 1' INT TERM

# Waits up to ten seconds for a command to succeed.
await() {
    tries=100
    until "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        if [ "$tries" = 0 ]; then
            echo "two-hubs.sh: $* fails" >&2
            cat "$directory"/*.log >&2
            exit 1
        fi
        sleep 0.1
    done
}

redis-server --port 0 --unixsocket "$directory/redis.sock" --dir "$directory" --save '' \
    >"$directory/redis.log" &
started="$started $!"

# Starts hub $1.
hub() {
    EVENT_HTTPD_PUBLISHER_KEY=$key EVENT_HTTPD_STORE="unix:$directory/redis.sock" \
        "$program" hub --listen 127.0.0.1:0 --anonymous 2>"$directory/hub-$1.log" &
    started="$started $!"
    await grep -q 'listening on' "$directory/hub-$1.log"
}

# Prints the URL of hub $1.
url() {
    port=$(sed -n 's/.*listening on [^ ]*:\([0-9]*\).*/\1/p' "$directory/hub-$1.log")
    echo "http://127.0.0.1:$port"
}

base64url() { openssl base64 -A | tr '+/' '-_' | tr -d =; }

hub 1
hub 2
await curl -sf "$(url 1)/readyz"
await curl -sf "$(url 2)/readyz"
echo "hub 1 is $(url 1), hub 2 is $(url 2)"

claims=$(printf '{"alg":"HS256","typ":"JWT"}' | base64url).$(
    printf '{"mercure":{"publish":["*"]}}' | base64url)
token=$claims.$(printf %s "$claims" | openssl dgst -sha256 -hmac "$key" -binary | base64url)

curl -sN "$(url 2)$path?topic=news" -D "$directory/head" >"$directory/received" &
started="$started $!"
await grep -q 'text/event-stream' "$directory/head"
echo 'subscribed to "news" on hub 2'

id=$(curl -sf "$(url 1)$path" -H "Authorization: Bearer $token" \
    -d topic=news --data-urlencode 'data=hello from hub 1')
echo "published on hub 1, with the id $id"

await grep -q '^data: hello from hub 1$' "$directory/received"
echo 'received on hub 2:'
grep . "$directory/received"
