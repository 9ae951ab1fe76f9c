#!/bin/sh
# Draws the pictures of ../README.md: draw.sh PATH-OF-DATA-GENERATOR
set -eu
program=$(realpath "$1")
cd "$(dirname "$0")"

draw() {
    name=$1
    shift
    "$program" shape --rows 1 --svg "$name.svg" "$@" >/dev/null
}

draw sample --duration 79m
draw constant --rate 1000/s --duration 5m
draw sinusoid --median 500/s --amplitude 400/s --period 5m --duration 15m
draw step --steps 100/s:30s,1000/s:2m,100/s:60s
draw ramp --from 0/s --to 3000/s --over 10m
draw spike --base 300/s --peak 5000/s --at 1m --rise 5s --hold 20s --fall 30s --duration 3m
draw random-walk --low 100/s --high 2000/s --every 5s --seed 7 --over 10m
draw trace --trace day.csv --between linear
draw compressed --trace day.csv --between linear --time-compression 60
draw chain --shape-file chain.toml
