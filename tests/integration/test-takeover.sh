#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A host is dead, or looks dead: who may have its disks, and what it can still
# do if it comes back.
set -euo pipefail

# shellcheck source=tests/integration/functions.sh
source "$(dirname "$0")/functions.sh"

DISK=51712
WEB=00000001-0000-4000-8000-00000000000a

admin() { # admin HOST gc|takeover ARGUMENT...: of block-rbd
	local program host=$1

	shift
	program=$(find_block_rbd)
	host "$host" env LD_PRELOAD="$KEYSTUB" \
		LD_LIBRARY_PATH="$(dirname "$program")/../../libxlrbd/.libs" \
		"$program" "$@" 2>&1
}

watch_is_gone() { # watch_is_gone IMAGE
	[[ -z $(watchers "$1") ]]
}

error_of() { # error_of HOST DOMID
	vbd_read "$1" "$2" $DISK hotplug-error
}

entries() { # entries IMAGE: "STATE,HOST" of each, sorted
	lockers "$1" | grep -o 'xlrbd1,[a-z]*,[^,]*,[^,]*' | cut -d , -f 2,4 |
		sort | xargs
}

client_of() { # client_of HOST DEVICE
	host "$1" cat "/sys/bus/rbd/devices/$2/client_addr"
}

fenced_until() { # fenced_until ADDRESS: in seconds from now, or nothing
	local until

	until=$(ceph osd blocklist ls 2>/dev/null | awk -v a="$1" '$1 == a { print $2 }')
	[[ -z $until ]] || echo $(($(date -d "$until" +%s) - $(date +%s)))
}

content() {
	rbd export --no-progress "$1" - | md5sum
}

# A domain of host 1, cut off from the cluster for longer than its watch lasts.
lose_host_1() { # lose_host_1 cut|crash [FEATURE...]
	local how=$1

	shift
	rbd create --size 10M "${@/#/--image-feature=}" image
	vbd_new 1 1 $DISK w rbd:image web1 $WEB
	rbd_add 1 1 $DISK
	blkback_open 1 1 $DISK
	"host_$how" 1
	eventually 60 watch_is_gone image
}

# What host 1 must do when it is back: destroy, gc.
heal_host_1() {
	blkback_close 1 1 $DISK
	vbd_gone 1 1 $DISK
	expect_match "$(admin 1 gc)" '1 cleaned up'
}

takes_from_a_dead_host() {
	local addr

	lose_host_1 crash "$@"
	addr=$(lockers image | grep -o '10\.78\.0\.[0-9]*:0/[0-9]*' | head -n 1)
	# Only who says so takes over.
	vbd_new 2 2 $DISK w rbd:image
	expect_fail rbd_add 2 2 $DISK
	expect_match "$(error_of 2 2)" 'held for writing by domain web1 .* on host xen1 .*see MODES and TAKEOVER'
	vbd_gone 2 2 $DISK
	expect_eq "$(fenced_until "$addr")" ""
	vbd_new 2 2 $DISK w rbd:image,takeover=fence
	rbd_add 2 2 $DISK
	echo "note: takeover in $MS ms, $addr fenced for $(($(fenced_until "$addr") / 86400)) days"
	(($(fenced_until "$addr") > 4 * 365 * 86400)) || fail "a fence too short"
	expect_eq "$(entries image)" "fenced,xen1 held,xen2"
	expect_eq "$(krbd 2 io 0 write)" ok
	# Its new life has another address: the same disk works there again.
	vbd_gone 2 2 $DISK
	host_start 1
	expect_match "$(admin 1 gc)" '1 cleaned up'
	vbd_new 1 1 $DISK w rbd:image web1 $WEB
	rbd_add 1 1 $DISK
	expect_eq "$(krbd 1 io 0 write)" ok
	vbd_gone 1 1 $DISK
	nothing_left
}

refused_while_it_lives() {
	rbd create --size 10M image
	vbd_new 1 1 $DISK w rbd:image
	rbd_add 1 1 $DISK
	vbd_new 2 2 $DISK w rbd:image,takeover=fence
	expect_fail rbd_add 2 2 $DISK
	expect_match "$(error_of 2 2)" "held for writing by domain vm1 .* on host xen1 .*not taken over: that host is alive, its kernel's client $(client_of 1 0) watches rbd/image"
	expect_eq "$(krbd 1 io 0 write)" ok
	vbd_gone 2 2 $DISK
	# Nor from itself.
	vbd_new 1 3 $DISK w rbd:image,takeover=fence
	expect_fail rbd_add 1 3 $DISK
	expect_match "$(error_of 1 3)" 'not taken over: that is this very host'
	vbd_gone 1 3 $DISK
	expect_eq "$(fenced_until "$(client_of 1 0)")" ""
	vbd_gone 1 1 $DISK
	nothing_left
}

# A reader has no watch of its own; its host is judged by its other disks.
reader_of_a_living_host() {
	rbd create --size 10M image
	rbd create --size 10M other
	vbd_new 1 1 $DISK r rbd:image
	rbd_add 1 1 $DISK
	vbd_new 1 2 $DISK w rbd:other
	rbd_add 1 2 $DISK
	vbd_new 2 2 $DISK w rbd:image,takeover=fence
	expect_fail rbd_add 2 2 $DISK
	expect_match "$(error_of 2 2)" 'held for reading by domain vm1 .*is alive.* watches rbd/other'
	vbd_gone 2 2 $DISK
	# Without them nothing is known: it is fenced, and can do no harm.
	vbd_gone 1 2 $DISK
	vbd_new 2 2 $DISK w rbd:image,takeover=fence
	rbd_add 2 2 $DISK
	expect_eq "$(entries image)" "fenced,xen1 held,xen2"
	expect_eq "$(krbd 1 io 0 read)" ESHUTDOWN
	vbd_gone 2 2 $DISK
	vbd_gone 1 1 $DISK
	expect_match "$(admin 1 gc)" '1 cleaned up'
	nothing_left
}

# The fence outlives what Ceph would give it by itself.
zombie_never_writes() {
	local before i

	ceph config set mon mon_osd_blocklist_default_expire 2
	lose_host_1 cut "$@"
	# Queued while it is cut off: to arrive when it is back.
	krbd 1 io 0 write >"$WORLD/io" &
	vbd_new 2 2 $DISK w rbd:image,takeover=fence
	rbd_add 2 2 $DISK
	expect_eq "$(krbd 2 io 0 write)" ok
	before=$(content image)
	# The default does end: who relied on it would be let in.
	ceph osd blocklist add 10.78.0.99:0/1 2>/dev/null
	host_join 1
	wait $!
	expect_eq "$(<"$WORLD/io")" ESHUTDOWN
	eventually 30 default_fence_is_over
	for ((i = 0; i < 20; i++)); do
		expect_eq "$(krbd 1 io 0 write)" ESHUTDOWN
		sleep 0.1
	done
	expect_eq "$(content image)" "$before" "content after the zombie's writes"
	ceph config rm mon mon_osd_blocklist_default_expire
	heal_host_1
	vbd_gone 2 2 $DISK
	nothing_left
}

default_fence_is_over() {
	[[ -z $(fenced_until 10.78.0.99:0/1) ]]
}

host_2_takes_it() {
	rbd_add 2 2 $DISK
	expect_eq "$(entries image)" "fenced,xen1 held,xen2"
	vbd_gone 2 2 $DISK
	host_start 1
	admin 1 gc
	nothing_left
}

# Somebody else's fence, as krbd's own of an hour, cannot be made longer.
short_fence_is_in_the_way() {
	local addr

	lose_host_1 crash
	addr=$(lockers image | grep -o '10\.78\.0\.[0-9]*:0/[0-9]*' | head -n 1)
	ceph osd blocklist add "$addr" 3600 2>/dev/null
	vbd_new 2 2 $DISK w rbd:image,takeover=fence
	expect_fail rbd_add 2 2 $DISK
	expect_match "$(error_of 2 2)" "fence client $addr: somebody else has fenced it, until 20.* only.*ceph osd blocklist rm $addr"
	expect_eq "$(entries image)" held,xen1
	ceph osd blocklist rm "$addr" 2>/dev/null
	host_2_takes_it
}

# That of an earlier takeover, of another disk of the same client.
earlier_fence_does() {
	lose_host_1 crash
	ceph osd blocklist add "$(lockers image | grep -o '10\.78\.0\.[0-9]*:0/[0-9]*' | head -n 1)" $((4 * 366 * 86400)) 2>/dev/null
	vbd_new 2 2 $DISK w rbd:image,takeover=fence
	host_2_takes_it
}

# Whose cap is for a namespace sees no other: but in there all that the fence would cut off.
reader_in_a_namespace() {
	rbd namespace create rbd/team
	rbd create --size 10M rbd/team/image
	rbd create --size 10M rbd/team/other
	ceph auth get-or-create client.team mon 'profile rbd' osd 'profile rbd pool=rbd namespace=team' 2>/dev/null |
		host 2 tee /etc/ceph/ceph.client.team.keyring >/dev/null
	vbd_new 1 1 $DISK r rbd/team:image
	rbd_add 1 1 $DISK
	vbd_new 1 2 $DISK w rbd/team:other
	rbd_add 1 2 $DISK
	vbd_new 2 2 $DISK w rbd/team:image,takeover=fence,id=team
	expect_fail rbd_add 2 2 $DISK
	expect_match "$(error_of 2 2)" 'held for reading by domain vm1 .*is alive.* watches rbd/team/other'
	expect_eq "$(krbd 1 io 0 read)" ok
	vbd_gone 2 2 $DISK
	vbd_gone 1 2 $DISK
	vbd_gone 1 1 $DISK
	nothing_left
}

# Host A is cut off in the middle of a migration to B, C takes over.
migration_of_a_zombie() {
	lose_host_1 cut
	vbd_new 3 3 $DISK w rbd:image,takeover=fence web1 $WEB
	rbd_add 3 3 $DISK
	# A finishes copying: B would join C, and A would tell it to go.
	vbd_new 2 2 $DISK w rbd:image web1--incoming $WEB
	expect_fail rbd_add 2 2 $DISK
	expect_match "$(error_of 2 2)" 'taken over from domain web1 .* on host xen1 .*what migrates now may be that old copy: run `block-rbd gc` on host xen1'
	vbd_gone 2 2 $DISK
	# Also when C's has ended: the old memory on a disk that went on.
	vbd_gone 3 3 $DISK
	vbd_new 2 2 $DISK w rbd:image web1--incoming $WEB
	expect_fail rbd_add 2 2 $DISK
	vbd_gone 2 2 $DISK
	vbd_new 3 3 $DISK w rbd:image web1 $WEB
	rbd_add 3 3 $DISK
	# A is back, its copy still there: not yet.
	host_join 1
	expect_match "$(admin 1 gc)" 'rbd/image: taken over from domain web1 \(1\) .*run `xl destroy 1`, and never migrate it'
	expect_eq "$(entries image)" "fenced,xen1 held,xen3"
	heal_host_1
	vbd_new 2 2 $DISK w rbd:image web1--incoming $WEB
	rbd_add 2 2 $DISK
	expect_eq "$(entries image)" "held,xen2 held,xen3"
	vbd_gone 3 3 $DISK
	vbd_gone 2 2 $DISK
	nothing_left
}

# The destination of a migration is one more that has to be met.
takeover_meets_the_incoming() {
	# Without exclusive-lock, whose own fence is not what this is about.
	lose_host_1 cut layering
	vbd_new 2 2 $DISK w rbd:image web1--incoming $WEB
	rbd_add 2 2 $DISK
	vbd_new 3 3 $DISK w rbd:image,takeover=fence web1 $WEB
	expect_fail rbd_add 3 3 $DISK
	expect_match "$(error_of 3 3)" 'web1 .* on host xen2 .*is alive'
	# Nobody was fenced for a takeover that was refused.
	expect_eq "$(fenced_until "$(client_of 1 0)")" ""
	expect_eq "$(entries image)" "held,xen1 held,xen2"
	vbd_gone 3 3 $DISK
	vbd_gone 2 2 $DISK
	host_join 1
	vbd_gone_of_host_1
	nothing_left
}

vbd_gone_of_host_1() {
	blkback_close 1 1 $DISK
	vbd_gone 1 1 $DISK
}

# All disks of the host share a client: that one is listed, and said.
fenced_host_works_again() {
	local addr listed

	# Without exclusive-lock, which a fenced client cannot give back.
	rbd create --size 10M --image-feature layering other
	vbd_new 1 7 $DISK w rbd:other
	rbd_add 1 7 $DISK
	addr=$(client_of 1 0)
	lose_host_1 cut layering
	eventually 60 watch_is_gone other
	# First without --yes: only the list.
	expect_fail admin 2 takeover rbd:image
	listed=$(admin 2 takeover rbd:image || :)
	expect_match "$listed" "would cut off rbd/image of domain web1 .*: client $addr of host xen1"
	expect_match "$listed" "would cut off rbd/other of domain vm7 "
	expect_match "$listed" "rbd:image: nothing done; --yes does it"
	expect_eq "$(fenced_until "$addr")" ""
	expect_eq "$(entries image)" held,xen1
	expect_match "$(admin 2 takeover --yes rbd:image)" "cutting off rbd/other .*rbd:image: free"
	expect_eq "$(entries image)" fenced,xen1
	expect_eq "$(entries other)" held,xen1
	host_join 1
	expect_match "$(admin 1 gc)" "rbd/other: /dev/rbd0 of domain 7 is dead: this host's client $addr was fenced, by .*; run \`xl destroy 7\`"
	# The dead maps keep that client alive; new ones get another.
	rbd create --size 10M third
	vbd_new 1 9 $DISK w rbd:third
	rbd_add 1 9 $DISK
	expect_match "$(host 1 cat /sys/bus/rbd/devices/2/config_info)" 'noshare'
	expect_eq "$(krbd 1 io 2 write)" ok
	expect_eq "$(krbd 1 io 0 write)" ESHUTDOWN
	vbd_gone 1 9 $DISK
	vbd_gone 1 7 $DISK
	heal_host_1
	nothing_left
}

# Both find the holder dead; one has it in the end.
two_take_over_at_once() {
	local two

	lose_host_1 crash
	vbd_new 2 2 $DISK w rbd:image,takeover=fence
	vbd_new 3 3 $DISK w rbd:image,takeover=fence
	rbd_add 2 2 $DISK &
	two=$!
	rbd_add 3 3 $DISK || :
	wait "$two" || :
	expect_match "$(entries image)" '^fenced,xen1( fenced,xen1)? held,xen[23]$'
	vbd_gone 2 2 $DISK
	vbd_gone 3 3 $DISK
	host_start 1
	admin 1 gc
	nothing_left
}

# Where a takeover is killed: before the nth call of a librados function.
declare -A KILL_POINTS=(
	[before-fence]=rados_mon_command:2
	[fenced]=rados_mon_command:3
	[before-tombstone]=rados_lock_shared:3
	[before-break]=rados_break_lock:2
	[evicted]=rados_mon_command:4
)
ORDER=(before-fence fenced before-tombstone before-break evicted)
# What is in the lock then; the taker's own entry is pending.
declare -A ENTRIES=(
	[before-fence]="held,xen1 pending,xen2"
	[fenced]="held,xen1 pending,xen2"
	[before-tombstone]="held,xen1 pending,xen2"
	[before-break]="fenced,xen1 held,xen1 pending,xen2"
	[evicted]="fenced,xen1 pending,xen2"
)

killed_takeover() { # killed_takeover POINT DOMID WHAT
	local image=$1-$3 domid=$2

	vbd_new 2 "$domid" $DISK w "rbd:$image,takeover=fence"
	XLRBD_WRAPPER="env LD_PRELOAD=$KEYSTUB:$("$LIB/built" killstub.so) KILL_AT=${KILL_POINTS[$1]}" \
		expect_fail rbd_add 2 "$domid" $DISK
	expect_match "$OUTPUT" 'exit 137'
	expect_eq "$(entries "$image")" "${ENTRIES[$1]}" "entries after the kill"
	case $3 in
	again)
		rbd_add 2 "$domid" $DISK
		vbd_gone 2 "$domid" $DISK
		;;
	elsewhere) # libxl destroys the domain; another host tries.
		vbd_gone 2 "$domid" $DISK
		vbd_new 3 "$domid" $DISK w "rbd:$image,takeover=fence"
		rbd_add 3 "$domid" $DISK
		vbd_gone 3 "$domid" $DISK
		;;
	back) # The dead host comes back, and wants its own.
		vbd_gone 2 "$domid" $DISK
		return
		;;
	esac
	expect_match "$(entries "$image")" '^fenced,xen1( fenced,xen1)?$'
	echo "note: $(printf '%-17s then %-9s: taken' "$1" "$3")"
}

# All cells share one dead host, as its watches take their time to end.
takeover_is_killed() {
	local point what image domid=0

	for point in "${ORDER[@]}"; do
		for what in again elsewhere back; do
			rbd create --size 10M --image-feature layering "$point-$what"
			vbd_new 1 $((++domid)) $DISK w "rbd:$point-$what"
			rbd_add 1 $domid $DISK
		done
	done
	host_crash 1
	# Of all: what is left of one says that its host is alive.
	for image in $(rbd ls); do
		eventually 60 watch_is_gone "$image"
	done
	domid=0
	for point in "${ORDER[@]}"; do
		for what in again elsewhere back; do
			killed_takeover "$point" $((++domid)) "$what"
		done
	done
	host_start 1
	admin 1 gc
	for point in "${ORDER[@]}"; do
		vbd_new 1 1 $DISK w "rbd:$point-back"
		rbd_add 1 1 $DISK
		expect_eq "$(entries "$point-back")" held,xen1
		vbd_gone 1 1 $DISK
		echo "note: $(printf '%-17s then %-9s: its own again' "$point" back)"
		for what in again elsewhere; do
			expect_eq "$(entries "$point-$what")" ""
		done
	done
	nothing_left
}

takeover_arguments() {
	expect_fail admin 1 takeover
	expect_match "$OUTPUT" 'usage: block-rbd'
	expect_fail admin 1 takeover --now rbd:image
	expect_match "$OUTPUT" 'usage: block-rbd'
	expect_fail admin 1 takeover --yes rbd:image
	expect_match "$OUTPUT" 'rbd/image: no such image'
	rbd create --size 10M image
	expect_eq "$(admin 1 takeover --yes rbd:image,id=xen)" "rbd:image,id=xen: free"
	expect_eq "$(entries image)" ""
	expect_fail admin 1 takeover --yes rbd:image,mode=x
	expect_match "$OUTPUT" 'target: mode='
}

world_start 3
# So that the dead are known to be dead sooner than after 30 s.
ceph config set osd osd_client_watch_timeout 8
t "from a dead host" takes_from_a_dead_host
t "from a dead host, no exclusive-lock" takes_from_a_dead_host layering
t "not from a living one" refused_while_it_lives
t "a reader, of whose host something is alive" reader_of_a_living_host
t "a fenced host that comes back never writes" zombie_never_writes
t "the same, no exclusive-lock" zombie_never_writes layering
t "a fence that is too short already" short_fence_is_in_the_way
t "a fence of an earlier takeover" earlier_fence_does
t "a reader, of whose host something is alive, in a namespace" reader_in_a_namespace
t "a cut off host goes on migrating" migration_of_a_zombie
t "a takeover meets a migration's destination" takeover_meets_the_incoming
t "the fenced host's other disks" fenced_host_works_again
t "two take over at once" two_take_over_at_once
t "takeover killed at each step" takeover_is_killed
t "arguments of takeover" takeover_arguments
summary
