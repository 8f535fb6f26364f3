#!/bin/sh
# pip install into a virtual environment, with a line for each package as it comes: install.sh PIP REQUIREMENT...
# pip's own words are shown where it fails, and are kept beside the environment otherwise.
set -u
pip=$1
shift
log=$(dirname "$pip")/../pip.log
echo "installing $* (once)"
{
    "$pip" install --disable-pip-version-check --progress-bar off "$@" 2>&1
    echo "status $?"
} | {
    status=1
    : >"$log"
    while IFS= read -r line; do
        echo "$line" >>"$log"
        case "$line" in
            Collecting\ *) package=${line#Collecting }; printf '  %s\n' "${package%% (*}" ;;
            *Building\ wheel*|Installing\ collected*) printf '  %s\n' "${line%%:*}" ;;
            status\ *) status=${line#status } ;;
        esac
    done
    [ "$status" = 0 ] || tail -30 "$log" >&2
    exit "$status"
}
