#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Disks that are attached before their domain arrives, beside the host that it comes from: add has only to publish them,
# and whatever becomes of the domain or of who receives it, nothing is left, and the source's disk stays what it was.
set -euo pipefail

# shellcheck source=tests/integration/functions.sh
source "$(dirname "$0")/functions.sh"
# shellcheck source=tests/integration/xlrbd.sh
source "$(dirname "$0")/xlrbd.sh"
# shellcheck source=tests/integration/arrive.sh
source "$(dirname "$0")/arrive.sh"

moves() { # moves MODE [FEATURE...]
	local mode=$1

	shift
	rbd create --size 10M "${@/#/--image-feature=}" image
	source_runs "$mode" rbd:image
	arrive_begin 2 web1 $WEB $THERE $DISK "$mode" "$IMAGE" rbd:image
	held_on 1 2
	expect_match "$(entry_on 2)" "xlrbd1,held,$mode,xen2,.*,$THERE,$DISK,$WEB,.*,web1--incoming$"
	expect_eq "$(krbd 2 maps | wc -l)" 1
	# Until the last moment the source writes.
	[[ $mode != w ]] || expect_eq "$(krbd 1 io 0 write)" ok
	expect_eq "$(arrive 1 drain $HERE 5000)" still
	vbd_new 2 $THERE $DISK "$mode" rbd:image web1--incoming $WEB
	# Whoever wanted anything of the cluster now would wait for it.
	cluster pause mon
	cluster pause osd
	rbd_add 2 $THERE $DISK
	cluster resume osd
	cluster resume mon
	echo "note: add of what is prepared: $MS ms"
	expect_eq "$(vbd_read 2 $THERE $DISK physical-device-path)" /dev/rbd0
	expect_eq "$(vbd_read 2 $THERE $DISK hotplug-status)" connected
	held_on 1 2
	blkback_open 2 $THERE $DISK
	arrive_end
	held_on 1 2
	source_ends
	held_on 2
	[[ $mode != w ]] || expect_eq "$(krbd 2 io 0 write)" ok
	blkback_close 2 $THERE $DISK
	vbd_gone 2 $THERE $DISK
	nothing_left
}

# As `xl migrate localhost` does it.
moves_on_one_host() {
	create image
	source_runs w rbd:image
	arrive_begin 1 web1 $WEB $THERE $DISK w "$IMAGE" rbd:image
	expect_eq "$(krbd 1 maps | wc -l)" 2
	shows 1 gc
	vbd_new 1 $THERE $DISK w rbd:image web1--incoming $WEB
	rbd_add 1 $THERE $DISK
	expect_eq "$(vbd_read 1 $THERE $DISK physical-device-path)" /dev/rbd1
	arrive_end
	source_ends
	held_on 1
	expect_eq "$(krbd 1 maps | wc -l)" 1
	vbd_gone 1 $THERE $DISK
	nothing_left
}

does_not_come() {
	create image data
	source_runs w rbd:image
	attach 1 $HERE $DATA w rbd:data web1 $WEB
	arrive_begin 2 web1 $WEB $THERE $DISK w "$IMAGE" rbd:image $DATA w - rbd:data
	held_on 1 2
	expect_eq "$(krbd 2 maps | wc -l)" 2
	arrive_end
	gone_from 2
	held_on 1
	expect_eq "$(krbd 1 io 0 write)" ok
	source_ends
	vbd_gone 1 $HERE $DATA
	nothing_left
}

# libxl has made the disk, and gives up before or after its add.
does_not_come_in_the_end() { # does_not_come_in_the_end before|after|withdrawn
	create image
	source_runs w rbd:image
	arrive_begin 2 web1 $WEB $THERE $DISK w "$IMAGE" rbd:image
	vbd_new 2 $THERE $DISK w rbd:image web1--incoming $WEB
	case $1 in
	after) rbd_add 2 $THERE $DISK ;;
	withdrawn)
		write_keys 2 "$(backend_path $THERE $DISK)" online 0
		expect_fail rbd_add 2 $THERE $DISK
		expect_match "$(vbd_read 2 $THERE $DISK hotplug-error)" 'the backend no longer waits for a device'
		held_on 1 2
		;;
	esac
	if [[ $1 == withdrawn ]]; then
		# Its nodes go without a word: whoever receives it is left.
		vbd_forget 2 $THERE $DISK
		held_on 1 2
	else
		vbd_gone 2 $THERE $DISK
		held_on 1
	fi
	arrive_end
	gone_from 2
	held_on 1
	source_ends
	nothing_left
}

refused_beside_it() { # refused_beside_it HOST DOMID NAME UUID
	vbd_new "$1" "$2" $DISK w rbd:image "$3" "$4"
	expect_fail rbd_add "$1" "$2" $DISK
	expect_match "$(vbd_read "$1" "$2" $DISK hotplug-error)" 'rbd/image: held for writing by domain web1 \('"$WEB"'\) on host xen[12] since'
	vbd_gone "$1" "$2" $DISK
	held_on "${@:5}"
}

others_are_refused() {
	create image
	source_runs w rbd:image
	arrive_begin 2 web1 $WEB $THERE $DISK w "$IMAGE" rbd:image
	refused_beside_it 2 8 db "$(default_uuid 2 8)" 1 2
	refused_beside_it 3 3 db "$(default_uuid 3 3)" 1 2
	refused_beside_it 3 3 web1 $WEB 1 2
	# Also when the source has gone, and before the domain is here.
	source_ends
	refused_beside_it 1 4 web1 $WEB 2
	refused_beside_it 2 8 db--incoming "$(default_uuid 2 8)" 2
	refused_beside_it 2 8 web1 $WEB 2
	refuses 'rbd/image: held for writing by domain web1 .* on host xen2 .*; not unlocked: it is alive; .*' \
		1 unlock image "$(entry_of 1 image held)"
	arrive_end
	gone_from 2
	nothing_left
}

arrives_once() {
	create image
	source_runs w rbd:image
	arrive_begin 2 web1 $WEB $THERE $DISK w "$IMAGE" rbd:image
	expect_fail arrive 2 web1 $WEB 8 $DISK w "$IMAGE" rbd:image
	expect_match "$OUTPUT" "EALREADY domain web1 \\($WEB\\) is arriving here already"
	held_on 1 2
	# Another one may, beside it.
	create other
	expect_match "$(arrive 2 db "$(default_uuid 1 9)" 9 $DISK w - rbd:other)" $'prepared\nended$'
	held_on 1 2
	arrive_end
	source_ends
	nothing_left
}

# A map takes its time: nobody else of that host has to wait for it.
gc_beside_a_slow_one() {
	create image
	source_runs w rbd:image
	krbd 2 delay-map 15
	arrive 2 web1 $WEB $THERE $DISK w "$IMAGE" rbd:image >"$WORLD/out" 2>&1 &
	eventually 20 is_recorded
	shows 2 gc
	expect_match "$OUT" 'rbd +0$'
	((MS < 10000)) || fail "gc took $MS ms"
	wait $!
	expect_match "$(<"$WORLD/out")" $'prepared\n.*ended$'
	gone_from 2
	source_ends
	nothing_left
}

is_recorded() {
	host 2 test -e "${XLRBD_RUNDIR:-/run/xlrbd}/vbd-$THERE-$DISK"
}

# What was prepared is for a domid that somebody else was given.
another_domid() {
	create image other
	source_runs w rbd:image
	arrive_begin 2 web1 $WEB $THERE $DISK w "$IMAGE" rbd:image
	vbd_new 2 8 $DISK w rbd:image web1--incoming $WEB
	rbd_add 2 8 $DISK
	held_on 1 2 2
	attach 2 $THERE $DISK w rbd:other db
	held_on 1 2
	expect_match "$(krbd 2 maps)" 'rbd/other@'
	arrive_end
	held_on 1 2
	expect_eq "$(krbd 2 maps | wc -l)" 2
	# And the next one that guesses wrong does no harm.
	expect_fail arrive 2 db "$(default_uuid 1 9)" $THERE $DISK w - rbd:other
	expect_match "$OUTPUT" 'EEXIST '
	expect_match "$(lockers other)" ',held,w,xen2,'
	expect_eq "$(krbd 2 maps | wc -l)" 2
	vbd_gone 2 $THERE $DISK
	vbd_gone 2 8 $DISK
	source_ends
	nothing_left
}

# The disk of the domain that comes is not the one that was announced.
another_disk() { # another_disk MODE TARGET MODE-OF-ENTRY
	create image
	source_runs r rbd:image
	arrive_begin 2 web1 $WEB $THERE $DISK r "$IMAGE" rbd:image
	vbd_new 2 $THERE $DISK "$1" "$2" web1--incoming $WEB
	rbd_add 2 $THERE $DISK
	held_on 1 2
	expect_match "$(entry_on 2)" "xlrbd1,held,$3,xen2,"
	expect_eq "$(krbd 2 maps | wc -l)" 1
	arrive_end
	held_on 1 2
	vbd_gone 2 $THERE $DISK
	source_ends
	nothing_left
}

# Somebody has unmapped it by hand.
unmapped_meanwhile() {
	create image
	source_runs w rbd:image
	arrive_begin 2 web1 $WEB $THERE $DISK w "$IMAGE" rbd:image
	host 2 bash -c 'echo 0 >/sys/bus/rbd/remove_single_major'
	vbd_new 2 $THERE $DISK w rbd:image web1--incoming $WEB
	rbd_add 2 $THERE $DISK
	held_on 1 2
	expect_eq "$(krbd 2 maps | wc -l)" 1
	arrive_end
	vbd_gone 2 $THERE $DISK
	source_ends
	nothing_left
}

make_base() {
	rbd create --size 16M debian
	rbd snap create --no-progress debian@v1
}

# The image is there as long as anybody is.
ephemeral() {
	local target=rbd:image,clone=debian@v1,ephemeral

	make_base
	source_runs w $target
	arrive_begin 2 web1 $WEB $THERE $DISK w "$IMAGE" $target
	arrive_end
	expect_eq "$(rbd ls | xargs)" "debian image" "after it was cancelled"
	held_on 1
	arrive_begin 2 web1 $WEB $THERE $DISK w "$IMAGE" $target
	arrive_kill
	shows 2 gc
	expect_eq "$(rbd ls | xargs)" "debian image" "after gc"
	held_on 1
	expect_eq "$(krbd 1 io 0 write)" ok
	arrive_begin 2 web1 $WEB $THERE $DISK w "$IMAGE" $target
	source_ends
	expect_eq "$(rbd ls | xargs)" "debian image" "after the source"
	vbd_new 2 $THERE $DISK w $target web1--incoming $WEB
	rbd_add 2 $THERE $DISK
	arrive_end
	expect_eq "$(krbd 2 io 0 write)" ok
	vbd_gone 2 $THERE $DISK
	expect_eq "$(rbd ls | xargs)" debian
	nothing_left
}

# Nobody else is left when it is cancelled.
ephemeral_is_the_last() {
	local target=rbd:image,clone=debian@v1,ephemeral

	make_base
	source_runs w $target
	arrive_begin 2 web1 $WEB $THERE $DISK w "$IMAGE" $target
	source_ends
	arrive_end
	expect_eq "$(rbd ls | xargs)" debian
	nothing_left
}

# Images named after their domain, which is not called that yet.
named_after_the_domain() {
	create image
	rbd rename image web1
	attach 1 $HERE $DISK w rbd: web1 $WEB
	arrive_begin 2 web1 $WEB $THERE $DISK w "$(arrive 1 image $HERE $DISK)" rbd:
	vbd_new 2 $THERE $DISK w rbd: web1--incoming $WEB
	cluster pause mon
	rbd_add 2 $THERE $DISK
	cluster resume mon
	arrive_end
	vbd_gone 1 $HERE $DISK
	vbd_gone 2 $THERE $DISK
	nothing_left
}

drain_and_image_of_others() {
	create image
	source_runs w rbd:image
	expect_match "$IMAGE" "^$(ceph fsid)/[0-9]+/$(rbd info --format json image | jq -r .id)\$"
	expect_eq "$(arrive 1 drain 99 1000)" still
	expect_fail arrive 1 image 99 $DISK
	expect_match "$OUTPUT" 'ENOENT domain 99, disk 51712: not attached by block-rbd on this host'
	source_ends
	nothing_left
}

world_start 3
t "a domain moves, mode w" moves w
t "a domain moves, mode w, no exclusive-lock" moves w layering
t "a domain moves, mode r" moves r
t "a domain moves, mode r, no exclusive-lock" moves r layering
t "a domain moves on one host" moves_on_one_host
t "a domain that does not come" does_not_come
t "a domain that is withdrawn before its add" does_not_come_in_the_end before
t "a domain that is withdrawn after its add" does_not_come_in_the_end after
t "a domain that is withdrawn during its add" does_not_come_in_the_end withdrawn
t "others are refused beside it" others_are_refused
t "a domain arrives once on a host" arrives_once
t "gc beside one whose map is slow" gc_beside_a_slow_one
t "it comes by another domid, which was another's" another_domid
t "it comes with another access" another_disk w rbd:image w
t "it comes with another target" another_disk r rbd:image,mode=r! r%21
t "unmapped by hand before it comes" unmapped_meanwhile
t "ephemeral, cancelled, killed, moved" ephemeral
t "ephemeral, and the last one is cancelled" ephemeral_is_the_last
t "images named after their domain" named_after_the_domain
t "drain and image" drain_and_image_of_others
summary
