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
[ "$(uname)" != Linux ] || command -v systemd-analyze >/dev/null || missing+=(systemd)
command -v chromium >/dev/null || missing+=(chromium fonts-dejavu-core)
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
    packages=("${missing[@]}")
    apt_install "$@"
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
The tests need Dovecot 2.3 (dovecot and doveadm), PostgreSQL, Redis and Chromium. On Debian or Ubuntu, type:

    sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing[*]}

On Fedora: sudo dnf install dovecot postgresql-server redis chromium
On macOS: brew install dovecot postgresql redis && brew install --cask chromium
TEXT
exit 1
