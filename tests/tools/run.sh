#!/bin/sh
# make run: start the agent, wait until it answers, show what it sees, then stay in the foreground until interrupted.
# BIN: the virtual environment's bin directory; PORT: where to listen; arguments go to both commands.
set -eu
url="http://127.0.0.1:$PORT"
"$BIN/cgstatd" serve --listen "127.0.0.1:$PORT" "$@" &
agent=$!
trap 'kill "$agent" 2>/dev/null; wait "$agent" 2>/dev/null; exit 0' INT TERM
n=0
until "$BIN/python" -c "import urllib.request as u; u.urlopen('$url/healthz', timeout=2)" 2>/dev/null; do
    kill -0 "$agent" 2>/dev/null || { wait "$agent"; exit $?; }
    n=$((n + 1))
    [ "$n" -lt 100 ] || { echo "the agent does not answer on $url" >&2; kill "$agent"; exit 1; }
    sleep 0.1
done
echo
"$BIN/cgstatd" stats "$@" || true
cat <<END

The agent runs. Look at it from another terminal:
  curl $url/api/containers/stats            all containers as JSON
  curl -N $url/api/containers/stats/stream  the same as Server-Sent Events
  curl $url/api/containers/NAME/stats       one container
  $BIN/cgstatd stats --watch $*
Stop it with Ctrl-C.
END
wait "$agent"
