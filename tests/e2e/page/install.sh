#!/bin/sh
# Puts in place what `make test-page` needs and is not there: Chromium, Node, and the two npm packages of this
# folder. Says what to install where it cannot.
set -eu
cd "$(dirname "$0")"

need() { # need COMMAND PACKAGE
    command -v "$1" >/dev/null && return
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "installing $2 ..."
        apt-get install -y --no-install-recommends "$2" >/dev/null ||
            { apt-get update >/dev/null && apt-get install -y --no-install-recommends "$2" >/dev/null; } || true
    fi
    command -v "$1" >/dev/null ||
        { echo "make test-page needs $1: install it (on Debian: apt-get install $2)${3:+; $3}" >&2; exit 1; }
}

[ -n "${CHROMIUM:-}" ] || need chromium chromium "or say in CHROMIUM where another Chromium or Chrome is"
need node nodejs
need npm npm
node -e 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)' ||
    { echo "make test-page needs Node 18 or later; this is $(node --version)" >&2; exit 1; }
# What is there and of the same lock file is left as it is.
if ! cmp -s package-lock.json node_modules/.of; then
    npm ci --prefer-offline --no-audit --no-fund --loglevel=error
    cp package-lock.json node_modules/.of
fi
