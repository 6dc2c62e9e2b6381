# Runs before the commands of a document. A reader has a server running in another terminal: so it is
# here, and whoever starts one stops the one before. Written for bash.
set -euo pipefail
place= server=
declare -A there=()

at() {
    place=$1
    echo "== ${SECONDS}s $1"
}
trap 'status=$?; ((status == 0)) || echo "FAILED ($status) at $place" >&2; kill $(jobs -p) 2>/dev/null || :' EXIT

audio-server() {
    case ${1--} in
        --help | --version) command audio-server "$@" ;;
        -* | serve) start "$@" ;;
        *) command audio-server "$@" ;;
    esac
}

start() {
    local name
    for name in ${there[@]+"${!there[@]}"}; do kill "${there[$name]}" 2>/dev/null || :; done
    end_server
    : >server.log
    command audio-server "$@" 2>>server.log &
    server=$!
    until grep -q '"listening"' server.log; do
        kill -0 $server 2>/dev/null || { cat server.log; return 1; }
        sleep 0.05
    done
    for name in ${there[@]+"${!there[@]}"}; do
        device "$name" "$*"
    done
}

end_server() {
    [[ -z $server ]] || { kill -TERM $server && wait $server; } || { cat server.log; return 1; }
    server=
}

# Its verdict on a machine that may be busy is not asked for: other tests judge, in virtual time.
audio-device() {
    command audio-device --port "$AUDIO_SERVER_PORT" "$@" || (($? == 1))
}

curl() {
    command curl --silent --show-error --fail-with-body "$@"
}

# A device that is there for the commands that name it, and comes back where the server lets it.
device() {
    [[ -z ${there[$1]-} ]] || kill "${there[$1]}" 2>/dev/null || :
    # Not by the function above: killed, a shell that runs it would leave the device behind.
    command audio-device --port "$AUDIO_SERVER_PORT" --id "$1" --script 'connect wait:600' \
        >/dev/null 2>&1 &
    there[$1]=$!
    [[ ${2-} == *--tokens* || ${2-} == *--tls* || ${2-} == *--port* ]] && return
    until curl "$AUDIO_SERVER_URL/api/devices" | grep -q "\"$1\""; do sleep 0.05; done
}

# What would go on until Ctrl-C, on a terminal; it must not end before.
for_a_while() {
    local status=0
    [[ $1 != audio-device* ]] || set -- "$1 --port $AUDIO_SERVER_PORT --no-play"
    # Killed, `script` does not wait for its shell; what runs in that loses its terminal, and ends.
    timeout -s KILL 1 script -qefc "$1" /dev/null >screen.log || status=$?
    ((status == 137)) || { cat screen.log; echo "it ended by itself ($status)"; return 1; }
    [[ ! $1 =~ --id\ ([a-z]+) ]] || device "${BASH_REMATCH[1]}"
}

the_end() {
    at 'the end'
    end_server
}

at 'the beginning'
start
