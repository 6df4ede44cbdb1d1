#!/usr/bin/env bash
# Installs the Dovecot the tests run against, when it is missing. Says nothing when it is there.
set -euo pipefail

PATH="$PATH:/usr/sbin:/usr/local/sbin"

if command -v dovecot >/dev/null && command -v doveadm >/dev/null; then
    exit 0
fi

apt_install() {
    "$@" apt-get update
    "$@" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends dovecot-imapd
}

if command -v apt-get >/dev/null; then
    if [ "$(id -u)" -eq 0 ]; then
        apt_install env
        exit
    fi
    if sudo -n true 2>/dev/null; then
        apt_install sudo -n
        exit
    fi
fi

cat >&2 <<'TEXT'
The tests need Dovecot 2.3 (dovecot and doveadm). On Debian or Ubuntu, type:

    sudo apt-get update && sudo apt-get install -y --no-install-recommends dovecot-imapd

On Fedora: sudo dnf install dovecot      On macOS: brew install dovecot
TEXT
exit 1
