#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# xlrbd migrate when nothing dies: a domain's whole life by name, and what is refused and what that leaves.  What dies on
# the way is in xlrbd-killed.sh.
. "$(dirname "$0")/migrating.sh"
# shellcheck source=tests/lab/suite/managing.sh
. "$(dirname "$0")/managing.sh"

TOOL=xlrbd

whole_story() {
	local domid before

	x 1 "rm -f /var/log/xen/console/guest-web1*.log"
	root_image root
	# PV guests cannot be migrated on this Xen.
	expect_match "$(define 1 -t pvh web1 "$(disk rbd:root)")" "web1: version 1"
	expect_match "$(x 2 'xlrbd list --defined')" "web1 +1 "
	create 2 web1
	expect_eq "$(where 1 web1)" "xen2 running"
	expect_match "$(x 1 'xlrbd list --cluster')" "web1 +xen2 +running +1 "
	expect_match "$(x 2 'xlrbd create web1')" "runs here already"
	expect_fail x 1 'xlrbd create web1 2>&1'
	expect_match "$OUTPUT" "web1: runs on xen2 since .* \(running\)"
	# The same UUID and MAC wherever it is, and others' commands know it by its name.
	expect_eq "$(x 2 "xl list -v web1 | awk 'NR == 2 { print \$7 }'")" "$(x 1 'xlrbd show -j web1' | jq -r .uuid)" UUID
	expect_fail x 1 'xlrbd shutdown --here web1 2>&1'
	expect_match "$OUTPUT" "web1: runs on xen2, not here"
	x 1 'xlrbd pause web1'
	expect_match "$(x 2 'xl list web1')" " [rb-]{2}p--- "
	x 1 'xlrbd unpause web1'

	# Typed where it is to go.
	moves 1 1
	# What xl has moved is found, and managed, just the same.
	x 1 'xl migrate web1 xen2 2>&1' | tail -n 1
	expect_eq "$(where 1 web1)" "xen2 running"
	eventually $PATIENCE no_monitor 1
	# Typed where it is.
	moves 2 1

	# The monitor that it has got there starts it again, as another domain.
	domid=$(x 1 'xl domid web1')
	before=$(x 1 'pgrep -f "^[^ ]* monitor [0-9]+$"')
	"$LAB" type xen1 -n web1 reboot
	"$LAB" guestwait xen1 web1 "lab: guest up" $PATIENCE
	expect_no_match "$(x 1 'xl domid web1')" "^$domid$" "domid after the reboot"
	expect_eq "$(x 1 'pgrep -f "^[^ ]* monitor [0-9]+$"')" "$before" "the monitor's process"
	expect_eq "$(where 2 web1)" "xen1 running"
	x 2 'xlrbd shutdown --wait web1'
	expect_eq "$(lockers root)" "" "entries when shutdown has returned"
	expect_fail x 2 'xlrbd where web1 2>&1'
	expect_match "$OUTPUT" "web1: no host holds a disk for it"
	x 1 'xlrbd undefine web1'
	no_trace root
	drop_image root
}

# moves HERE THERE: web1 goes there when that is asked for here; the other host has nothing of it any more.
moves() {
	local said

	said=$(x "$1" "xlrbd migrate web1 xen$2 2>&1")
	echo "note: $said"
	expect_match "$said" "^web1: runs on xen$2, as domain [0-9]+: [0-9]+ MB in [0-9.]+ s, stood still for [0-9]+ ms$"
	expect_eq "$(where "$1" web1)" "xen$2 running"
	expect_eq "$(monitors "$2")" "$(x "$2" 'xl domid web1')" "monitors on xen$2"
	eventually $PATIENCE nothing_on $((3 - $2))
}

name_taken() { # name_taken NAME LINE...: of a guest that is just there
	"$LAB" domcfg -t pvh "$1" -- "${@:2}" | x "$TO" "cat >/root/other.cfg && xl create -p /root/other.cfg"
}

checks_refuse() {
	local free

	find_guest
	name_taken web1
	refused "web1"
	x "$TO" "xl destroy web1"
	name_taken other "$(x "$FROM" "grep ^uuid /root/web1.cfg")"
	refused "UUID"
	x "$TO" "xl destroy other"
	free=$(x "$TO" "xl info free_memory")
	XLRBD_LAB_GUEST_MEMORY=$((free - 70)) name_taken other
	refused "memory"
	x "$TO" "xl destroy other"
	x "$TO" "modprobe -r rbd"
	refused "the kernel's rbd module is not loaded"
	x "$TO" "modprobe rbd"
	refused "nowhere" nowhere
	at_home "$FROM"
}

# A host that does not even say that it takes no connections.
stands_still() {
	find_guest
	"$LAB" freeze "xen$TO"
	refused "xen$TO"
	"$LAB" thaw "xen$TO"
	at_home "$FROM"
}

# What is no trip, and what only looks.
no_trip() {
	find_guest
	expect_eq "$(x "$TO" "xlrbd migrate web1 xen$FROM 2>&1")" "web1: runs on xen$FROM already"
	expect_eq "$(x "$FROM" "xlrbd migrate --dry-run web1 xen$TO 2>&1")" "web1: xen$TO would take it"
	expect_eq "$(left "$TO")" "" "left on xen$TO"
	x "$TO" "modprobe -r rbd"
	expect_fail x "$FROM" "xlrbd migrate --dry-run web1 xen$TO 2>&1"
	expect_match "$OUTPUT" "the kernel's rbd module is not loaded"
	x "$TO" "modprobe rbd"
	x "$FROM" "xlrbd pause web1"
	expect_fail x "$FROM" "xlrbd migrate web1 xen$TO 2>&1"
	expect_match "$OUTPUT" "^xlrbd: web1: [^"$'\n'"]*paused"
	expect_match "$(x "$FROM" "xl list web1")" " [rb-]{2}p--- "
	x "$FROM" "xlrbd unpause web1"
	at_home "$FROM"
}

the_end() {
	find_guest
	finish "$FROM"
	no_trace
}

t "define, create elsewhere, reboot, migrate, shut down, undefine" whole_story
t "what the checks refuse" checks_refuse
t "a host that does not answer" stands_still
t "there already, --dry-run, paused" no_trip
t "after all of that" the_end
summary
