#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Disks that cannot be attached before their domain arrives, whoever receives it being killed, and a cluster that is gone
# meanwhile: nothing is left, and the source's disk stays what it was.
set -euo pipefail

# shellcheck source=tests/integration/functions.sh
source "$(dirname "$0")/functions.sh"
# shellcheck source=tests/integration/xlrbd.sh
source "$(dirname "$0")/xlrbd.sh"
# shellcheck source=tests/integration/arrive.sh
source "$(dirname "$0")/arrive.sh"

receiver_is_killed() { # receiver_is_killed gc|begin|add|other
	create image
	source_runs w rbd:image
	arrive_begin 2 web1 $WEB $THERE $DISK w "$IMAGE" rbd:image
	for host in 1 2 3; do
		shows $host gc
		expect_match "$OUT" 'rbd +0$'
	done
	held_on 1 2
	arrive_kill
	held_on 1 2
	case $1 in
	gc)
		# Of its own host only.
		shows 3 gc
		expect_match "$OUT" 'rbd +0$'
		held_on 1 2
		shows 2 gc
		expect_match "$OUT" 'rbd +1$'
		;;
	begin) # Whatever the next one is for.
		expect_match "$(arrive 2 web1 $WEB 8)" $'prepared\nended$'
		;;
	add) # The domain comes all the same.
		vbd_new 2 $THERE $DISK w rbd:image web1--incoming $WEB
		rbd_add 2 $THERE $DISK
		shows 2 gc
		expect_match "$OUT" 'rbd +0$'
		held_on 1 2
		vbd_gone 2 $THERE $DISK
		;;
	other) # Another domain of that host wants the image.
		source_ends
		attach 2 8 $DISK w rbd:image db
		expect_eq "$(krbd 2 maps | wc -l)" 1
		vbd_gone 2 8 $DISK
		attach 1 $HERE $DISK w rbd:image web1 $WEB
		blkback_open 1 $HERE $DISK
		SOURCE=$(entry_on 1)
		;;
	esac
	gone_from 2
	held_on 1
	source_ends
	nothing_left
}

# Where prepare is killed: before the nth call of a librados function.  And how many entries it has in the lock then.
KILL_POINTS=(
	rados_lock_shared:1=0	# recorded
	rados_mon_command:2=1	# registered
	rados_lock_shared:2=1	# mapped
	rados_break_lock:1=2	# held
)

# Published only if it is held, whatever the record says.
killed_while_preparing() { # killed_while_preparing gc|begin|add
	local point domid=$THERE

	create image
	source_runs w rbd:image
	for point in "${KILL_POINTS[@]}"; do
		XLRBD_WRAPPER="env LD_PRELOAD=$KEYSTUB:$("$LIB/built" killstub.so) KILL_AT=${point%=*}" \
			expect_fail arrive 2 web1 $WEB $((++domid)) $DISK w "$IMAGE" rbd:image
		expect_no_match "$OUTPUT" prepared
		expect_eq "$(entry_on 2 | wc -w)" "${point#*=}" "entries when killed at $point"
		case $1 in
		gc)
			shows 2 gc
			expect_match "$OUT" 'rbd +1$'
			;;
		begin) expect_match "$(arrive 2 web1 $WEB 5)" $'prepared\nended$' ;;
		add)
			vbd_new 2 $domid $DISK w rbd:image web1--incoming $WEB
			rbd_add 2 $domid $DISK
			held_on 1 2
			vbd_gone 2 $domid $DISK
			;;
		esac
		held_on 1
		gone_from 2
	done
	source_ends
	nothing_left
}

cannot_prepare() { # cannot_prepare ANSWER IMAGE TARGET: the second disk of two, so the first one goes as well
	expect_fail arrive 2 web1 $WEB $THERE $DISK w "$IMAGE" rbd:image $DATA w "$2" "$3"
	expect_match "$OUTPUT" "$1"
	gone_from 2
	held_on 1
}

what_is_refused() {
	create image data taken
	source_runs w rbd:image
	attach 1 9 $DISK w rbd:taken db
	cannot_prepare 'ENOENT rbd/nothing: no such image; ' - rbd:nothing
	cannot_prepare 'ENOENT no pool "nopool"' - nopool:data
	cannot_prepare 'EINVAL target: mode=' - rbd:data,mode=x
	cannot_prepare 'EINVAL rbd/data: mode=r in target' - rbd:data,mode=r
	cannot_prepare 'EBUSY rbd/taken: held for writing by domain db ' - rbd:taken
	cannot_prepare 'EXDEV rbd/data: is another image on this host \([0-9a-f-]*/[0-9]*/[0-9a-f]*\) than where the domain comes from \([0-9a-f-]*/[0-9]*/[0-9a-f]*\)' \
		"$IMAGE" rbd:data
	# Where the domain comes from it is: here it is not to be made.
	rbd snap create --no-progress data@v1
	cannot_prepare 'ENOENT rbd/web1: ' "$IMAGE" rbd:web1,clone=data@v1
	cannot_prepare 'ENOENT rbd/web1: ' "$IMAGE" rbd:web1,clone=data@v1,ephemeral
	expect_eq "$(rbd ls | xargs)" "data image taken"
	expect_eq "$(rados -p rbd ls | grep -c xlrbd_making || :)" 0 notes
	expect_eq "$(arrive 2 web1 $WEB $THERE)" $'prepared\nended'
	vbd_gone 1 9 $DISK
	source_ends
	nothing_left
}

# By the same name: what ceph.conf says there, and here.
another_cluster() {
	local there=$WORLD/ceph2

	ip addr add 10.78.0.2/24 dev br0
	"$LIB/cluster" start "$there" 10.78.0.2
	rbd -c "$there/ceph.conf" -k "$there/ceph.client.admin.keyring" create --size 10M image
	create image
	source_runs w rbd:image
	host 2 cp "$there/ceph.conf" "$there/ceph.client.xen.keyring" /etc/ceph/
	expect_fail arrive 2 web1 $WEB $THERE $DISK w "$IMAGE" rbd:image
	expect_match "$OUTPUT" 'EXDEV rbd/image: is another image on this host .* than where the domain comes from \('"$IMAGE"'\); compare ceph.conf'
	expect_eq "$("$LIB/held" "$there/ceph.conf" "$there/ceph.client.admin.keyring" rbd)" ""
	host 2 cp "$WORLD/ceph/ceph.conf" "$WORLD/ceph/ceph.client.xen.keyring" /etc/ceph/
	"$LIB/cluster" stop "$there"
	ip addr del 10.78.0.2/24 dev br0
	gone_from 2
	held_on 1
	source_ends
	nothing_left
}

# The default pool of xlrbd.conf is another one there.
another_pool() {
	user all 'profile rbd' 'profile rbd'
	ceph osd pool create other 8 2>/dev/null
	ceph osd pool application enable other rbd 2>/dev/null
	create image other/image
	source_runs w image,id=all
	echo 'pool = other' | host 2 tee /etc/xen/xlrbd.conf >/dev/null
	expect_fail arrive 2 web1 $WEB $THERE $DISK w "$IMAGE" image,id=all
	expect_match "$OUTPUT" 'EXDEV other/image: is another image on this host'
	host 2 rm /etc/xen/xlrbd.conf
	expect_eq "$(lockers other/image)" ""
	gone_from 2
	held_on 1
	source_ends
	nothing_left
}

no_cluster_at_prepare() {
	local pid rc=0

	create image
	source_runs w rbd:image
	cluster pause mon
	expect_fail arrive 2 web1 $WEB $THERE $DISK w "$IMAGE" rbd:image,timeout=10
	expect_match "$OUTPUT" 'ETIMEDOUT no monitor of /etc/ceph/ceph.conf'
	cluster resume mon
	gone_from 2
	# Only the kernel's client gets no answer.
	krbd 2 delay-map inf
	expect_fail arrive 2 web1 $WEB $THERE $DISK w "$IMAGE" rbd:image,timeout=10
	expect_match "$OUTPUT" "ETIMEDOUT map rbd/image: the kernel's client got no answer"
	gone_from 2
	held_on 1
	# Gone in the middle: the entry is there, and cannot be taken back.
	krbd 2 delay-map inf
	arrive 2 web1 $WEB $THERE $DISK w "$IMAGE" rbd:image,timeout=10 >"$WORLD/out" 2>&1 &
	pid=$!
	eventually 20 is_pending_on 2
	cluster pause osd
	wait $pid || rc=$?
	cluster resume osd
	cat "$WORLD/out" >&2
	expect_eq "$rc" 1
	expect_match "$(<"$WORLD/out")" "ETIMEDOUT map rbd/image: the kernel's client got no answer"
	shows 2 gc
	gone_from 2
	held_on 1
	source_ends
	nothing_left
}

is_pending_on() {
	entry_on "$1" | grep -q ',pending,'
}

no_cluster_at_end() { # no_cluster_at_end mon|osd
	local rc=0

	create image
	source_runs w rbd:image
	arrive_begin 2 web1 $WEB $THERE $DISK w "$IMAGE" rbd:image,timeout=10
	cluster pause "$1"
	arrive_end || rc=$?
	cluster resume "$1"
	expect_eq "$rc" 1
	expect_match "$(tail -n 1 "$WORLD/arrival")" '^ETIMEDOUT '
	host 2 test -e "/run/xlrbd/vbd-$THERE-$DISK"
	shows 2 gc
	gone_from 2
	held_on 1
	source_ends
	nothing_left
}

watch_is_gone() { # watch_is_gone ADDRESS
	! watchers image | grep -q "^$1$"
}

# The source is cut off, and somebody starts the domain on a third host.
takeover_meets_it() {
	local addr

	# Without exclusive-lock, whose own fence is not what this is about.
	rbd create --size 10M --image-feature layering image
	source_runs w rbd:image
	addr=$(host 1 cat /sys/bus/rbd/devices/0/client_addr)
	arrive_begin 2 web1 $WEB $THERE $DISK w "$IMAGE" rbd:image
	host_cut 1
	eventually 60 watch_is_gone "$addr"
	vbd_new 3 3 $DISK w rbd:image,takeover=fence web1 $WEB
	expect_fail rbd_add 3 3 $DISK
	expect_match "$(vbd_read 3 3 $DISK hotplug-error)" 'web1 .* on host xen2 .*is alive'
	expect_eq "$(ceph osd blocklist ls 2>/dev/null)" "" "fences"
	held_on 1 2
	# Whoever receives it gives up.
	arrive_end
	held_on 1
	rbd_add 3 3 $DISK
	expect_match "$(ceph osd blocklist ls 2>/dev/null)" "$addr"
	# And from now on what comes from host 1 is the old copy.
	expect_fail arrive 2 web1 $WEB $THERE $DISK w "$IMAGE" rbd:image
	expect_match "$OUTPUT" 'EBUSY rbd/image: taken over from domain web1 .* on host xen1 .*; what migrates now may be that old copy'
	gone_from 2
	vbd_gone 3 3 $DISK
	host_join 1
	source_ends
	shows 1 gc
	nothing_left
}

world_start 3
# So that the dead are known to be dead sooner than after 30 s.
ceph config set osd osd_client_watch_timeout 8
t "the receiver is killed, then gc" receiver_is_killed gc
t "the receiver is killed, then another receives" receiver_is_killed begin
t "the receiver is killed, the domain comes" receiver_is_killed add
t "the receiver is killed, another domain attaches" receiver_is_killed other
t "killed while it prepares, then gc" killed_while_preparing gc
t "killed while it prepares, then another receives" killed_while_preparing begin
t "killed while it prepares, the domain comes" killed_while_preparing add
t "what is refused, and leaves nothing" what_is_refused
t "the image of another cluster" another_cluster
t "the image of another pool" another_pool
t "no cluster at prepare" no_cluster_at_prepare
t "no monitors at the end" no_cluster_at_end mon
t "no OSDs at the end" no_cluster_at_end osd
t "a takeover meets it" takeover_meets_it
summary
