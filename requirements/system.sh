#!/bin/bash
# Installs what some tests use and pip cannot bring: browsers for the page (for Firefox and WebKit with a
# sound server, without which they let no sound begin, and a display), Redis as a second kind of log server,
# PostgreSQL as a second kind of store for documents, people who speak (recordings of LibriVox readers with their text,
# and prompts in Spanish), coturn, which relays calls, and Prometheus, which reads our metrics and tests the alert rules.
# PEERS=yes: also what RealtimeTTS is built with. TURNS=yes: also prompts in English and French, for "make bench-turns".
# Where it may not or cannot, it says what will be skipped and succeeds.
set -u

missing=()
command -v chromium >/dev/null || command -v chromium-headless-shell >/dev/null || missing+=(chromium)
command -v firefox-esr >/dev/null || command -v firefox >/dev/null || missing+=(firefox-esr)
command -v WebKitWebDriver >/dev/null || missing+=(webkit2gtk-driver)
command -v Xvfb >/dev/null || missing+=(xvfb)
command -v pulseaudio >/dev/null || missing+=(pulseaudio)
command -v redis-server >/dev/null || missing+=(redis-server)
compgen -G "/usr/lib/postgresql/*/bin/initdb" >/dev/null || missing+=(postgresql)
[ -d /usr/share/pocketsphinx/test/data/librivox ] || missing+=(pocketsphinx-testdata)
command -v turnserver >/dev/null || missing+=(coturn)
command -v promtool >/dev/null || missing+=(prometheus)
for language in en es fr; do
    [ "$language" != es ] && [ "${TURNS:-no}" = no ] || compgen -G "/usr/share/asterisk/sounds/${language}_*" >/dev/null || missing+=("asterisk-core-sounds-$language-g722")
done
[ "${PEERS:-no}" = no ] || [ -f /usr/include/portaudio.h ] || missing+=(portaudio19-dev)
[ ${#missing[@]} -eq 0 ] && exit 0

skip() {
    echo "Without ${missing[*]} ($1), the tests and measurements that need them will be skipped."
    exit 0
}
[ "${SYSTEM:-yes}" = yes ] || skip "SYSTEM=$SYSTEM"
command -v apt-get >/dev/null || skip "not a Debian system: install them by hand"
root=()
if [ "$(id -u)" -ne 0 ]; then
    sudo -n true 2>/dev/null || skip "install them as root: apt-get install ${missing[*]}"
    root=(sudo -n)
fi

echo "Installing ${missing[*]} with apt-get for tests and measurements (SYSTEM=no leaves the machine alone)"
# RUNLEVEL=1 keeps Debian from starting services that nobody asked for.
"${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq update >/dev/null || skip "apt-get update failed"
# The browser without windows is smaller, and opens a page in half of the time; not every release has it.
apt-cache show chromium-headless-shell >/dev/null 2>&1 && missing=("${missing[@]/%chromium/chromium-headless-shell}")
known=()
for package in "${missing[@]}"; do
    if apt-cache show "$package" >/dev/null 2>&1; then known+=("$package"); else
        echo "Without $package, which this release does not have, the tests that need it will be skipped."
    fi
done
"${root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
    apt-get -qq install -y --no-install-recommends "${known[@]}" >/dev/null || skip "apt-get install failed"
