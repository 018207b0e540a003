#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# xlrbd migrate and evacuate when nothing dies: a domain's whole life by name, what is refused and what that leaves, and a
# host that is emptied.  What dies on the way is in xlrbd-killed.sh.
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

# A PV guest cannot be migrated on this Xen.  It can be shut down here and started there, and is back here if it cannot
# be started there.
cold() {
	local said

	root_image root
	x 2 "rm -f /var/log/xen/console/guest-web1*.log"
	define 1 web1 "$(disk rbd:root)" >/dev/null
	create 1 web1
	expect_fail x 1 'xlrbd migrate web1 xen2 2>&1'
	expect_match "$OUTPUT" "^xlrbd: web1: not migrated: is a PV guest.*; use --cold, or type = \"pvh\""
	guest 1 web1 'echo mine >/data/witness'
	said=$(x 2 'xlrbd migrate --cold web1 xen2 2>&1')
	echo "note: $said"
	"$LAB" guestwait xen2 web1 "lab: guest up" $PATIENCE
	expect_match "$(where 1 web1)" "xen2 running"
	eventually $PATIENCE nothing_on 1
	guest 2 web1 'grep -q mine /data/witness'
	# The checks know nothing about the kernel's file.
	x 1 'mv /srv/guest/vmlinuz /srv/guest/away'
	expect_fail x 2 'xlrbd migrate --cold web1 xen1 2>&1'
	echo "note: $OUTPUT"
	x 1 'mv /srv/guest/away /srv/guest/vmlinuz'
	"$LAB" guestwait xen2 web1 "lab: guest up" $PATIENCE 2
	eventually $PATIENCE nothing_on 1
	said=$(x 2 'xlrbd migrate --cold --json web1 xen1')
	expect_eq "$(jq -r '.[] | "\(.domain) \(.from) \(.to) \(.domid)"' <<<"$said")" \
		"web1 xen2 xen1 $(x 1 'xl domid web1')" "what --json says"
	"$LAB" guestwait xen1 web1 "lab: guest up" $PATIENCE 2
	eventually $PATIENCE nothing_on 2
	x 1 'xlrbd shutdown --wait web1; xlrbd undefine web1'
	no_trace root
	drop_image root
}

evacuate() { # evacuate HOST [ARGUMENT...]: "DOMAIN TO RESULT" lines, and its exit code
	local rc=0 said

	said=$(x "$1" "xlrbd evacuate --json ${*:2}") || rc=$?
	jq -r '.[] | "\(.domain) \(.to // "-") \(.result)"' <<<"$said" | sort
	return $rc
}

three() { # three TEXT: a line for each domain
	printf "web%d $1\n" 1 2 3
}

evacuation() {
	local i rc=0 rows

	for i in 1 2 3; do
		root_image "root$i"
		x 2 "rm -f /var/log/xen/console/guest-web$i*.log"
		define 1 -t pvh "web$i" "$(disk "rbd:root$i")" >/dev/null
		x 1 "rm -f /var/log/xen/console/guest-web$i*.log; xlrbd create web$i"
	done
	for i in 1 2 3; do
		"$LAB" guestwait xen1 "web$i" "lab: guest up" $PATIENCE
		guest 1 "web$i" 'HERE=since-the-beginning'
	done
	# Without hosts in the command: those of the file.
	trap '(($? == 0)) || let_go; x 1 "rm -f /etc/xen/xlrbd.conf"' EXIT
	x 1 'printf "[hosts]\nxen1 = root@xen1\nxen2 = root@xen2\n" >/etc/xen/xlrbd.conf'
	expect_eq "$(evacuate 1 --dry-run)" "$(three 'xen2 would move')" "rows of --dry-run"
	expect_eq "$(left 2)" "" "left on xen2"
	# One that cannot move does not stop the others.
	x 1 'xlrbd pause web3'
	rows=$(evacuate 1) || rc=$?
	expect_eq "$rc" 1 "exit code"
	expect_match "$rows" "^web1 xen2 moved"$'\n'"web2 xen2 moved"$'\n'"web3 [^ ]+ not moved$" "rows"
	x 1 'xlrbd unpause web3'
	expect_eq "$(evacuate 1)" "web3 xen2 moved" "rows"
	eventually $PATIENCE nothing_on 1
	evacuate_killed
	for i in 1 2 3; do
		expect_eq "$(guest 1 "web$i" 'echo $HERE')" "since-the-beginning" "what web$i knows"
		x 1 "xlrbd shutdown --wait web$i; xlrbd undefine web$i"
	done
	no_trace root1 root2 root3
	drop_image root1 root2 root3
}

# Back to xen1, and killed half-way; then once more.
evacuate_killed() {
	local pid rc=0 rows

	x 2 'xlrbd evacuate xen1' >/dev/null 2>&1 &
	pid=$!
	eventually $PATIENCE x 1 'xl list | grep -q -e --incoming'
	x 2 "pkill -KILL -o -f '^[^ ]*xlrb[d] evacuate'"
	wait $pid || rc=$?
	((rc != 0)) || fail "evacuate was not killed"
	# Those that it had begun may go on to their end.
	eventually $PATIENCE no_trips
	rows=$(evacuate 2 xen1)
	echo "note: after a kill: $(x 1 'xl list' | grep -c '^web. ') moved, again: ${rows//$'\n'/, }"
	eventually $PATIENCE nothing_on 2
	expect_eq "$(x 1 'xl list' | awk 'NR > 2 { print $1 }' | sort | xargs)" "web1 web2 web3" "domains on xen1"
}

no_trips() {
	! x 2 "pgrep -f '^[^ ]*/ex[e] migrate'" && ! x 1 "pgrep -f '^[^ ]*xlrb[d] receive'"
}

t "define, create elsewhere, reboot, migrate, shut down, undefine" whole_story
t "what the checks refuse" checks_refuse
t "a host that does not answer" stands_still
t "there already, --dry-run, paused" no_trip
t "after all of that" the_end
t "--cold, of a guest that cannot be migrated" cold
t "evacuate, with one that cannot move, and killed on the way back" evacuation
summary
