#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# xl migrate as it is, with the helper: nothing that a guest was told is on its disk is lost, each
# host has the entry it should have, and the same domain cannot be started beside itself.
#
# PVH guests, as Debian 12's Xen cannot log the dirty pages of PV ones.
. "$(dirname "$0")/functions.sh"

TRIPS=${XLRBD_TRIPS:-5}

# A line for each number, with its checksum, synced before the next: then the console says so.
COUNTER='n=0; while :; do n=$((n+1)); echo "$n $(echo $n | md5sum | cut -c1-8)" >>/data/counter; sync; echo tick $n; usleep 100000; done'

start() { # start HOST NAME
	"$LAB" domcfg -t pvh "$2" "$(disk rbd:root)" |
		x "$1" "cat >/root/$2.cfg && rm -f /var/log/xen/console/guest-$2*.log && xl create /root/$2.cfg"
	"$LAB" guestwait "xen$1" "$2" "lab: guest up" $PATIENCE
}

ticks() { # ticks HOST NAME: how far it has come, as it says there
	"$LAB" guestlog "xen$1" "$2" | sed -n 's/^tick //p' | tail -n 1
}

ticks_beyond() { # ticks_beyond HOST NAME NUMBER
	local now
	now=$(ticks "$1" "$2")
	((${now:-0} > $3))
}

holders() {
	lockers root | cut -d, -f2,4 | sort | xargs
}

# What is on the disk: every number once, in order, with its checksum, and at least as far as the console was told.
verify_counter() { # verify_counter TOLD
	local image file

	image=$(mktemp) file=$(mktemp)
	rbd export --no-progress rbd/root - >"$image"
	e2fsck -fn "$image" >/dev/null 2>&1 || fail "the file system is not clean"
	debugfs -R "cat /data/counter" "$image" 2>/dev/null >"$file"
	awk -v told="$1" '$1 != NR { print "line " NR " says " $1; bad = 1; exit }
		END { if (!bad && NR < told) { print "told " told ", found " NR; bad = 1 } exit bad }' "$file"
	while read -r n sum; do
		[[ $sum == "$(md5sum <<<"$n" | cut -c1-8)" ]] || fail "line $n: wrong checksum"
	done <"$file"
	echo "note: $(wc -l <"$file") numbers, the last one the guest was told of: $1"
	rm -f "$image" "$file"
}

back_and_forth() {
	local trip from=1 to=2 told begin

	root_image root "$@"
	start 1 web1
	"$LAB" type xen1 -n web1 "$COUNTER"
	eventually $PATIENCE ticks_beyond 1 web1 5
	for ((trip = 1; trip <= TRIPS; trip++)); do
		told=$(ticks $from web1)
		begin=$SECONDS
		x $from "xl migrate web1 xen$to" >/dev/null 2>&1
		echo "note: trip $trip to xen$to: $((SECONDS - begin)) s, $(holders)"
		expect_eq "$(holders)" "held,xen$to" "holders after trip $trip"
		domain_gone $from web1
		expect_eq "$(x $from 'ls /sys/bus/rbd/devices')" "" "mappings on xen$from"
		# By hand beside itself.
		expect_fail x $from "xl create /root/web1.cfg"
		expect_match "$OUTPUT" "rbd/root: held for writing by domain web1|already exists"
		eventually $PATIENCE ticks_beyond $to web1 "$told"
		x $to "cat >/root/web1.cfg" < <("$LAB" domcfg -t pvh web1 "$(disk rbd:root)")
		((from = to, to = 3 - from))
	done
	told=$(ticks $from web1)
	# Writing without end it is: off from outside.
	x $from "xl shutdown -w web1" >/dev/null
	wait_gone $from web1
	verify_counter "$told"
	nothing_left root
	drop_image root
}

destination_refuses() {
	local told

	root_image root
	start 1 web1
	"$LAB" type xen1 -n web1 "$COUNTER"
	eventually $PATIENCE ticks_beyond 1 web1 3
	# The destination cannot map: xl must resume the source.
	x 2 'modprobe -r rbd'
	expect_fail x 1 "xl migrate web1 xen2"
	expect_match "$OUTPUT" "the kernel's rbd module is not loaded"
	x 2 'modprobe rbd'
	expect_eq "$(holders)" "held,xen1"
	told=$(ticks 1 web1)
	eventually $PATIENCE ticks_beyond 1 web1 "$told"
	told=$(ticks 1 web1)
	# xl's monitor has left with the suspend: nobody reaps it but us.
	x 1 "xl shutdown -w web1; xl destroy web1" >/dev/null
	wait_gone 1 web1
	verify_counter "$told"
	nothing_left root
	drop_image root
}

t "xl migrate back and forth, $TRIPS trips" back_and_forth
t "xl migrate to a host that cannot map the image" destination_refuses
summary
