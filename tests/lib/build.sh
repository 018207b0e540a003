#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Compiles the C pieces of the test harness into a directory.
set -euo pipefail

[[ $# -eq 1 ]] || { echo "usage: build.sh DIR" >&2; exit 2; }
here=$(dirname "$(realpath "$0")")
out=$1
mkdir -p "$out"

# Callbacks and stubs have to take what they do not need.
compile() {
	"${CC:-cc}" -std=gnu17 -g -O1 -Wall -Wextra -Wno-unused-parameter \
		${CFLAGS:+$CFLAGS} "$@"
}

compile -shared -fPIC -o "$out/xenstubs.so" "$here/xenstubs.c"
compile -shared -fPIC -o "$out/keystub.so" "$here/keystub.c"
compile -shared -fPIC -o "$out/killstub.so" "$here/killstub.c"
# shellcheck disable=SC2046 # one word per flag
compile -o "$out/standin-krbd" "$here"/standin-*.c \
	$(pkg-config --cflags --libs fuse3) -lrbd -lrados -lpthread

# Linked with a hollow library of the same names: the real one is that of the
# build under test, by LD_LIBRARY_PATH.
library=$here/../../libxlrbd
sed -n 's/^\t\(xlrbd_[a-z_]*\);$/void \1(void) { }/p' "$library/libxlrbd.sym" |
	compile -shared -fPIC -Wl,-soname,libxlrbd.so.0 \
		"-Wl,--version-script=$library/libxlrbd.sym" \
		-o "$out/libxlrbd.so" -x c -
for program in arrive definitions; do
	compile -I"$library" -o "$out/$program" "$here/$program.c" -L"$out" -lxlrbd
done
rm "$out/libxlrbd.so"
