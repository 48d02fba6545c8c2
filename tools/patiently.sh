#!/bin/sh
# Run a long silent command, and say now and then that it goes on: patiently.sh TITLE COMMAND ...
title=$1
shift
"$@" &
work=$!
# What a script sends to the background does not hear Ctrl-C.
trap 'kill "$work" 2>/dev/null; wait "$work"; exit 130' INT TERM
seconds=0
while sleep 1; kill -0 "$work" 2>/dev/null; do
    seconds=$((seconds + 1))
    [ $((seconds % 15)) -ne 0 ] || echo "  $title: $seconds s ..."
done
wait "$work"
