#!/usr/bin/env bash
# Two processes of one service on one Redis, behind a balancer: any of them goes on with a conversation,
# and nothing that was said is lost when one of them is killed in the middle of an answer.
#
# Needs redis-server and curl, no key and no network. `EMBER_EXAMPLES` names a folder with the two
# programs, `cluster` and `cluster_balancer`, when they are built already.
set -euo pipefail
cd "$(dirname "$0")/../.."

for program in redis-server curl; do
    command -v "$program" >/dev/null || { echo "$program is not installed" >&2; exit 1; }
done

folder=$(mktemp -d)
children=()
clean_up() {
    for child in "${children[@]}"; do
        kill -9 "$child" 2>/dev/null || true
    done
    wait 2>/dev/null || true
    rm -rf "$folder"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

fail() {
    echo "NOT AS CLAIMED: $*" >&2
    exit 1
}

# Waits until a command succeeds, which must be within twenty seconds.
until_so() {
    local what=$1
    shift
    for _ in $(seq 200); do
        "$@" 2>/dev/null && return
        sleep 0.1
    done
    fail "$what"
}

if [ -z "${EMBER_EXAMPLES:-}" ]; then
    echo "Building the two programs ..."
    cargo build --quiet --features cluster --manifest-path examples/Cargo.toml \
        --example cluster --example cluster_balancer
    EMBER_EXAMPLES=${CARGO_TARGET_DIR:-target}/debug/examples
fi

# Redis, on a port that nobody has.
accepts() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
redis=
while [ -z "$redis" ]; do
    port=$((20000 + RANDOM % 20000))
    accepts "$port" && continue
    redis-server --port "$port" --bind 127.0.0.1 --save '' --appendonly no --dir "$folder" \
        >"$folder/redis.log" &
    children+=($!)
    for _ in $(seq 100); do
        kill -0 $! 2>/dev/null || break
        if accepts "$port"; then
            redis=$port
            break
        fi
        sleep 0.1
    done
done
echo "Redis listens on port $redis."

# The address that a program has printed.
address_in() { grep -o '127\.0\.0\.1:[0-9]*' "$1" | head -n 1 | grep .; }

unset EMBER_HOST EMBER_TLS_CERT EMBER_TLS_KEY
export EMBER_STORE=redis://127.0.0.1:$redis EMBER_PORT=0 LLM_PROVIDER=fake EMBER_WORKERS=1
declare -A name_of
backends=()
for name in A B; do
    "$EMBER_EXAMPLES/cluster" >"$folder/$name.log" 2>&1 &
    children+=($!)
    name_of[$!]=$name
    # The shell need not tell that it was killed.
    disown
    until_so "process $name does not listen" address_in "$folder/$name.log" >/dev/null
    backends+=("$(address_in "$folder/$name.log")")
    echo "Process $name listens on ${backends[-1]}."
done
"$EMBER_EXAMPLES/cluster_balancer" 127.0.0.1:0 "${backends[@]}" >"$folder/balancer.log" 2>&1 &
children+=($!)
until_so "the balancer does not listen" address_in "$folder/balancer.log" >/dev/null
balancer=http://$(address_in "$folder/balancer.log")
echo "The balancer listens on $balancer."

# Which process has answered, by the header that it has signed the answer with.
signed_by() {
    local number
    number=$(tr -d '\r' <"$folder/head" | sed -n 's/^x-process: //p')
    echo "${name_of[$number]}"
}

# Asks for something through the balancer: the text is in `answer`, who gave it in `by`.
ask() {
    local body
    body=$(curl -sSf --max-time 60 -D "$folder/head" "$@") || fail "no answer to $*"
    answer=$(tr -d '\r' <<<"$body")
    by=$(signed_by)
}

# Takes a turn of the conversation.
say() {
    ask "$balancer/chat" -H 'content-type: text/plain' ${id:+-H "x-conversation-id: $id"} -d "$1"
    id=$(tr -d '\r' <"$folder/head" | sed -n 's/^x-conversation-id: //p')
    grep -q '^data: \[DONE\]' <<<"$answer" || fail "the answer to \"$1\" has no end"
    answer=$(sed -n '/\[DONE\]/d; s/^data: //p' <<<"$answer" | tr -d '\n')
    echo "$by: \"$1\" \"$answer\""
}

expect() {
    [ "$1" = "$2" ] || fail "\"$1\" instead of \"$2\""
}

echo
echo "One conversation, both processes:"
id=
say 'My name is Ada'
first=$by
say 'What is my name?'
expect "$answer" 'Your name is Ada.'
[ "$by" != "$first" ] || fail "both turns were answered by $by"

echo
echo "One answer, made once:"
ask "$balancer/report"
made=$answer first=$by
ask "$balancer/report"
expect "$answer" "$made"
[ "$by" != "$first" ] || fail "both requests were answered by $by"
echo "$first and $by: \"$answer\""

echo
echo "One process is killed in the middle of an answer:"
# `head` is removed, so that it is seen when the answer begins.
rm "$folder/head"
curl -sN --max-time 60 -D "$folder/head" "$balancer/chat" -H 'content-type: text/plain' \
    -H "x-conversation-id: $id" -d 'Count, please.' >"$folder/counted" &
counting=$!
until_so "nothing is counted" grep -q '^data: 5' "$folder/counted"
killed=$(signed_by)
for child in "${!name_of[@]}"; do
    [ "${name_of[$child]}" != "$killed" ] || kill -9 "$child"
done
if wait "$counting"; then fail "the answer of a process that was killed came to its end"; fi
numbers=$(sed -n 's/^data: //p' "$folder/counted" | tr -d '\r\n')
echo "$killed: \"Count, please.\" \"$numbers\" (killed)"
say 'What is my name?'
expect "$answer" 'Your name is Ada.'
[ "$by" != "$killed" ] || fail "the dead answer"
say 'How often have I asked?'
# It is the fourth: the one whose answer was cut is not remembered.
expect "$answer" 'This is question 4.'

echo
echo "All of it is as claimed."
