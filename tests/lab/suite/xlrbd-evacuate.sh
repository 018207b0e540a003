#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# xlrbd evacuate, and xlrbd migrate --cold.
. "$(dirname "$0")/migrating.sh"
# shellcheck source=tests/lab/suite/managing.sh
. "$(dirname "$0")/managing.sh"

TOOL=xlrbd

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

three() { # three TEXT: a line for each domain
	printf "web%d $1\n" 1 2 3
}

evacuation() {
	local rc=0 rows

	three_guests
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
	end_three_guests
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
	eventually $((3 * PATIENCE)) no_trips
	rows=$(evacuate 2 xen1)
	echo "note: after a kill: $(x 1 'xl list' | grep -c '^web. ') moved, again: ${rows//$'\n'/, }"
	eventually $PATIENCE nothing_on 2
	expect_eq "$(x 1 'xl list' | awk 'NR > 2 { print $1 }' | sort | xargs)" "web1 web2 web3" "domains on xen1"
}

no_trips() {
	! x 2 "pgrep -f '^[^ ]*/ex[e] migrate'" >/dev/null && ! x 1 "pgrep -f '^[^ ]*xlrb[d] receive'" >/dev/null
}

t "--cold, of a guest that cannot be migrated" cold
t "evacuate, with one that cannot move, and killed on the way back" evacuation
summary
