#!/usr/bin/env bash
# Installs the servers the tests run against, as far as they are missing. Says nothing when they are there.
set -euo pipefail

PATH="$PATH:/usr/sbin:/usr/local/sbin"

has_postgres() {
    command -v postgres >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null
}

missing=()
command -v dovecot >/dev/null && command -v doveadm >/dev/null || missing+=(dovecot-imapd)
has_postgres || missing+=(postgresql)
command -v redis-server >/dev/null || missing+=(redis-server)
command -v curl >/dev/null && command -v jq >/dev/null || missing+=(curl jq)
[ "$(uname)" != Linux ] || command -v systemd-analyze >/dev/null || missing+=(systemd)
command -v chromium >/dev/null || missing+=(chromium fonts-dejavu-core)
command -v promtool >/dev/null || missing+=(promtool)
[ ${#missing[@]} -gt 0 ] || exit 0

apt_install() {
    "$@" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${packages[@]}"
}

install_with() {
    "$@" apt-get update
    if ! has_postgres && [ ! -e /etc/postgresql-common/createcluster.conf ]; then
        # Debian makes and starts a cluster of its own with the package; the tests have no use for it.
        packages=(postgresql-common)
        apt_install "$@"
        "$@" sed -i 's/^#* *create_main_cluster *=.*/create_main_cluster = false/' \
            /etc/postgresql-common/createcluster.conf
    fi
    packages=()
    for one in "${missing[@]}"; do
        if [ "$one" = promtool ]; then install_promtool "$@"; else packages+=("$one"); fi
    done
    [ ${#packages[@]} -eq 0 ] || apt_install "$@"
}

install_promtool() {
    # Debian has it in the package of Prometheus itself, which starts a service; this one file is all we want.
    local folder
    folder=$(mktemp -d)
    (cd "$folder" && apt-get -q download prometheus && dpkg-deb --extract prometheus_*.deb .)
    "$@" install -m 755 "$folder/usr/bin/promtool" /usr/local/bin/promtool
    rm -r "$folder"
}

if command -v apt-get >/dev/null; then
    if [ "$(id -u)" -eq 0 ]; then
        install_with env
        exit
    fi
    if sudo -n true 2>/dev/null; then
        install_with sudo -n
        exit
    fi
fi

cat >&2 <<TEXT
The tests need Dovecot 2.3 (dovecot and doveadm), PostgreSQL, Redis, Chromium, curl, jq and promtool. On Debian or
Ubuntu, type:

    sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing[*]/promtool/prometheus}

On Fedora: sudo dnf install dovecot postgresql-server redis chromium curl jq golang-github-prometheus
On macOS: brew install dovecot postgresql redis jq prometheus && brew install --cask chromium
TEXT
exit 1
