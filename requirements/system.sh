#!/bin/bash
# Installs what some tests use and pip cannot bring: a browser for the page, Redis as a second kind of log server,
# PostgreSQL as a second kind of store for documents, and people who speak (recordings of LibriVox readers with their text).
# Where it may not or cannot, it says what will be skipped and succeeds.
set -u

missing=()
command -v chromium >/dev/null || missing+=(chromium)
command -v redis-server >/dev/null || missing+=(redis-server)
compgen -G "/usr/lib/postgresql/*/bin/initdb" >/dev/null || missing+=(postgresql)
[ -d /usr/share/pocketsphinx/test/data/librivox ] || missing+=(pocketsphinx-testdata)
[ ${#missing[@]} -eq 0 ] && exit 0

skip() {
    echo "Without ${missing[*]} ($1), the tests that need them will be skipped."
    exit 0
}
[ "${SYSTEM:-yes}" = yes ] || skip "SYSTEM=$SYSTEM"
command -v apt-get >/dev/null || skip "not a Debian system: install them by hand"
root=()
if [ "$(id -u)" -ne 0 ]; then
    sudo -n true 2>/dev/null || skip "install them as root: apt-get install ${missing[*]}"
    root=(sudo -n)
fi

echo "Installing ${missing[*]} with apt-get for the tests (make test SYSTEM=no leaves the machine alone)"
# RUNLEVEL=1 keeps Debian from starting a Redis service that nobody asked for.
"${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq update >/dev/null || skip "apt-get update failed"
"${root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
    apt-get -qq install -y --no-install-recommends "${missing[@]}" >/dev/null || skip "apt-get install failed"
