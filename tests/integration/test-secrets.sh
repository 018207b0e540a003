#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The cephx key is nowhere that others can read, at any time.
set -euo pipefail

# shellcheck source=tests/integration/functions.sh
source "$(dirname "$0")/functions.sh"

DISK=51712

# The key as it is in keyrings, and the bytes it stands for.
make_patterns() {
	local key

	key=$(ceph-authtool -p -n client.xen "$WORLD/ceph/ceph.client.xen.keyring")
	printf '%s\n' "$key" "$(base64 -d <<<"$key" | xxd -p -c 100 | cut -c 25-)" >"$WORLD/patterns"
}

# All that is to be searched, as one text: name, then what is in it.
show_all() {
	local file

	for file in /proc/[0-9]*/cmdline /proc/[0-9]*/environ; do
		# The keyring's own readers: us.
		[[ $file == /proc/$BASHPID/* || $file == /proc/$$/* ]] ||
			{ echo "$file"; tr '\0' '\n' <"$file"; } 2>/dev/null || true
	done
	host 1 xenstore-ls -f
	host 1 bash -c 'find /run /sys/bus/rbd -type f -readable -perm -o=r \
		-exec sh -c "echo {}; cat {}" ";" 2>/dev/null; find /run -type f -exec cat {} + 2>/dev/null' || true
	cat "$WORLD/log"
}

no_secret() { # no_secret WHEN
	show_all >"$WORLD/all"
	# A search that finds nothing must have looked somewhere.
	grep -q block-rbd "$WORLD/all" || fail "$1: block-rbd was not among what was searched"
	if grep -n -F -f "$WORLD/patterns" "$WORLD/all"; then
		fail "$1: the key is readable"
	fi
}

helper_runs() {
	pgrep -x block-rbd >/dev/null
}

secrets() {
	local pid

	make_patterns
	rbd create --size 10M web1
	vbd_new 1 1 $DISK w rbd:web1
	# What it logs.
	host 1 python3 -c '
import os, socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("/dev/log")
while True: os.write(1, s.recv(65536) + b"\n")' >"$WORLD/log" &
	local logger=$!
	eventually 10 host 1 test -S /dev/log

	cluster pause osd
	rbd_add 1 1 $DISK 2>/dev/null &
	pid=$!
	eventually 10 helper_runs
	sleep 1
	no_secret "while opening the image"
	krbd 1 delay-map 3
	cluster resume osd
	eventually 10 pending_entry
	no_secret "while mapping"
	wait $pid
	no_secret "when attached"
	grep -q 'attached to domain vm1' "$WORLD/log" || fail "nothing was logged"
	krbd 1 delay-unmap 1
	vbd_gone 1 1 $DISK &
	eventually 10 helper_runs
	no_secret "while unmapping"
	wait $!
	kill $logger
	nothing_left
}

pending_entry() {
	lockers web1 | grep -q ',pending,'
}

# The search itself: it must find a key that is there.
search_finds() {
	make_patterns
	: >"$WORLD/log"
	host 1 xenstore-write /local/domain/0/leak "block-rbd $(head -n 1 "$WORLD/patterns")"
	expect_fail no_secret "planted"
	expect_match "$OUTPUT" 'planted: the key is readable'
	host 1 xenstore-rm /local/domain/0/leak
	nothing_left
}

world_start 1
t "the search finds a planted key" search_finds
t "no secret in processes, xenstore, /run, sysfs, the log" secrets
summary
