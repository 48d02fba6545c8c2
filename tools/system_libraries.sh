#!/bin/sh
# Bring the shared libraries that the wheels load, and chromium for the tests of pages, where they
# are missing and apt-get can bring them.
missing=""
for package in "$@"; do
    command -v "$package" >/dev/null && continue
    case $package in
        libegl1) file=libEGL.so.1 ;;
        libgles2) file=libGLESv2.so.2 ;;
        libgl1) file=libGL.so.1 ;;
        libglib2.0-0) file=libglib-2.0.so.0 ;;
        libgomp1) file=libgomp.so.1 ;;
        *) file=$package ;;
    esac
    ldconfig -p 2>/dev/null | grep -q "$file" || missing="$missing $package"
done
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $missing && exit 0
fi
echo "These system packages are missing:$missing. Install them with:" >&2
echo "  sudo apt-get install$missing" >&2
echo "Going on without them: 'traitscope doctor' says what does not work." >&2
