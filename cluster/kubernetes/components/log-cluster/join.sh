#!/bin/sh
# Makes one cluster of the servers in NODES (host:port ...), once; where there is one already, it only looks at it.
# REDISCLI_AUTH holds the password. CLI is the command line client, valkey-cli unless said.
set -eu
cli="${CLI:-valkey-cli}"
ask() {
    node="$1"
    shift
    "$cli" -h "${node%:*}" -p "${node##*:}" "$@"
}
addresses=""
for node in $NODES; do
    until [ "$(ask "$node" ping 2>/dev/null)" = PONG ]; do
        echo "waiting for $node"
        sleep 2
    done
    # The join wants addresses. A server says its own; where it does not, the name has to do.
    own=$(ask "$node" config get cluster-announce-ip | tail -n 1)
    addresses="$addresses ${own:-${node%:*}}:${node##*:}"
done
first="${NODES%% *}"
if [ "$(ask "$first" cluster info | tr -d '\r' | sed -n 's/^cluster_slots_assigned://p')" = 0 ]; then
    # shellcheck disable=SC2086 # one word for each server
    "$cli" --cluster create $addresses --cluster-replicas 1 --cluster-yes
fi
until ask "$first" cluster info | grep -q '^cluster_state:ok'; do
    echo "waiting for the cluster to agree"
    sleep 1
done
ask "$first" cluster info | head -n 6
