#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A host is dead, or only looks dead: the other one takes its guest over.  Nothing that the guest was told is on its
# disk is lost, nothing of a host that comes back arrives, and that host works again without a reboot.
. "$(dirname "$0")/functions.sh"

# The less, the faster a guest is there.
export XLRBD_LAB_GUEST_MEMORY=96

# An address that nobody has, fenced for Ceph's default time.
CONTROL=10.77.0.99:0/1

# A line for each number, synced before the next: then the console says so.
# shellcheck disable=SC2016 # for the guest's shell
COUNTER='n=$(tail -n 1 /data/counter 2>/dev/null)
	while n=$((n+1)) && echo $n >>/data/counter && sync && echo tick $n; do usleep 200000; done'

# Writes to both disks without end, whatever comes of it; a megabyte is many requests.  It runs from memory, as it will
# not be able to read from its disk either.
# shellcheck disable=SC2016 # for the guest's shell
LOOP='n=0; while n=$((n+1)); do
	echo $n >>/data/zombie; sync
	dd if=/dev/z of=/dev/xvdb bs=1M seek=$((n % 4)) oflag=direct && echo wrote $n && continue
	echo failed $n; usleep 200000
	done 2>/dev/null'
ZOMBIE="cp /bin/busybox /dev/busybox; mkdir /dev/bin; /dev/busybox --install -s /dev/bin
	yes zombie | head -c 1m >/dev/z; export PATH=/dev/bin; exec /dev/bin/sh -c '$LOOP'"

status() { # status IMAGE
	rbd status --format json "rbd/$1" | jq -r '.watchers[].address'
}

watch_is_gone() { # watch_is_gone IMAGE...
	local image
	for image; do
		[[ -z $(status "$image") ]] || return 1
	done
}

holders() { # holders IMAGE
	lockers "$1" | cut -d, -f2,4 | sort | xargs
}

told() { # told HOST WORD: the number that web1 has said last, with that word
	"$LAB" guestlog "xen$1" web1 2>/dev/null | sed -n "s/^$2 \([0-9]*\)$/\1/p" | tail -n 1
}

beyond() { # beyond HOST WORD NUMBER
	local now
	now=$(told "$1" "$2")
	((${now:-0} > $3))
}

fenced_until() { # fenced_until ADDRESS: as Ceph says it, or nothing
	"$LAB" ceph ceph osd blocklist ls 2>/dev/null | awk -v a="$1" '$1 == a { print $2 }'
}

not_fenced() {
	[[ -z $(fenced_until "$1") ]]
}

content() { # content IMAGE...
	local image
	for image; do
		rbd export --no-progress "rbd/$image" - | md5sum
	done
}

short_times() { # so that the dead are known to be dead sooner than after 30 s, and Ceph's default fence ends
	"$LAB" ceph ceph config set osd osd_client_watch_timeout 12
	"$LAB" ceph ceph config set mon mon_osd_blocklist_default_expire 10
}

# However a test ends, the next one finds both hosts, and Ceph's own times.
back_to_normal() {
	local rc=$?

	"$LAB" thaw xen1 2>/dev/null || "$LAB" power-on xen1
	"$LAB" ceph ceph config rm osd osd_client_watch_timeout
	"$LAB" ceph ceph config rm mon mon_osd_blocklist_default_expire
	((rc == 0)) || "$LAB" guestlog xen1 web1 | tail -n 8
}

verify_counter() { # verify_counter TOLD: every number up to there and beyond, once, in order
	local copy file

	copy=$(mktemp) file=$(mktemp)
	rbd export --no-progress rbd/root - >"$copy"
	e2fsck -fn "$copy" >/dev/null 2>&1 || fail "the file system is not clean"
	debugfs -R "cat /data/counter" "$copy" 2>/dev/null >"$file"
	cmp "$file" <(seq "$(wc -l <"$file")")
	(($(wc -l <"$file") >= $1)) || fail "told $1, found $(wc -l <"$file")"
	rm -f "$copy" "$file"
}

power_fails() {
	local told addr gone

	trap back_to_normal EXIT
	root_image root
	up 1 web1 "$(disk rbd:root)"
	# What was installed must outlive the power.
	x 1 sync
	addr=$(status root)
	"$LAB" type xen1 -n web1 "$COUNTER"
	eventually $PATIENCE beyond 1 tick 5
	expect_fail boot 2 web1 "$(disk rbd:root,takeover=fence)"
	expect_match "$OUTPUT" "held for writing by domain web1 .* on host xen1 "
	expect_match "$OUTPUT" "not taken over: that host is alive, its kernel's client $addr watches rbd/root"

	told=$(told 1 tick)
	"$LAB" power-off xen1
	gone=$(mktemp)
	(eventually $PATIENCE watch_is_gone root && date +%s >"$gone") &
	# Dead, but nobody can know that yet.
	expect_fail x 2 "block-rbd takeover --yes rbd:root"
	expect_match "$OUTPUT" "not taken over: that host is alive, its kernel's client $addr watches"
	wait $!
	# And now it is known, but nobody has asked for it.
	expect_fail boot 2 web1 "$(disk rbd:root)"
	expect_match "$OUTPUT" "held for writing by domain web1 .* on host xen1 .*see MODES and TAKEOVER"
	echo "note: $(since "$gone") s after the end of the watch: a start without takeover=fence was refused"
	boot 2 web1 "$(disk rbd:root,takeover=fence)"
	echo "note: $(since "$gone") s after it: xl create with takeover=fence done"
	"$LAB" guestwait xen2 web1 "lab: guest up" $PATIENCE
	echo "note: $(since "$gone") s after it: the guest is up"
	(($(since "$gone") < 60)) || fail "took too long"
	rm -f "$gone"
	echo "note: $addr is fenced until $(fenced_until "$addr")"
	expect_eq "$(holders root)" "fenced,xen1 held,xen2"
	echo "note: told of $told numbers, found $(guest 2 web1 'tail -n 1 /data/counter')"
	"$LAB" type xen2 -n web1 "$COUNTER"
	eventually $PATIENCE beyond 2 tick "$told"
	told=$(told 2 tick)
	x 2 'xl shutdown -w web1' >/dev/null
	wait_gone 2 web1
	verify_counter "$told"
	expect_eq "$(holders root)" "fenced,xen1"
	"$LAB" power-on xen1
	expect_match "$(x 1 'block-rbd gc 2>&1')" "1 cleaned up"
	up 1 web1 "$(disk rbd:root)"
	power_off 1 web1
	nothing_left root
	drop_image root
}

since() { # since FILE: seconds since the moment that is written there
	echo $(($(date +%s) - $(<"$1")))
}

# Never written after the first that failed.
nothing_written_since() {
	"$LAB" guestlog xen1 web1 | awk '/^wrote/ && failed { print; bad = 1 }
		/^wrote/ { wrote++ } /^failed/ { failed++ }
		END { print "note: the zombie wrote " wrote " times, then failed " failed " times"; exit bad }'
}

# becomes_zombie [FEATURE...]: host 1 stands still while web1 writes to root and data, and host 2 takes both.
becomes_zombie() {
	local addr start

	short_times
	root_image root "$@"
	rbd create --size 4M "${@/#/--image-feature=}" rbd/data
	up 1 web1 "$(disk rbd:root)" "$(disk rbd:data xvdb)"
	addr=$(status data)
	"$LAB" type xen1 -n web1 "$ZOMBIE"
	eventually $PATIENCE beyond 1 wrote 3
	"$LAB" freeze xen1
	eventually $PATIENCE watch_is_gone root data
	start=$SECONDS
	up 2 web1 "$(disk rbd:root,takeover=fence)" "$(disk rbd:data,takeover=fence xvdb)"
	echo "note: takeover of two disks, and the guest is up: $((SECONDS - start)) s"
	echo "note: $addr is fenced until $(fenced_until "$addr")"
	expect_eq "$(holders root), $(holders data)" "fenced,xen1 held,xen2, fenced,xen1 held,xen2"
}

heard_of() { # heard_of CONTENT: of the zombie's writes, there or here
	beyond 1 failed 0 || [[ $(content root data) != "$1" ]]
}

# One goes on writing on host 1, for longer than Ceph's default fence lasts; nobody does on host 2.
writes_in_vain() {
	local before told

	# All places where the other one writes, and then nothing any more.
	guest 2 web1 'yes holder | head -c 4m | dd of=/dev/xvdb bs=1M iflag=fullblock oflag=direct 2>/dev/null &&
		echo u >/proc/sysrq-trigger'
	eventually $PATIENCE guest 2 web1 'grep -q "^/dev/[a-z]* / ext4 ro" /proc/mounts'
	before=$(content root data)
	"$LAB" ceph ceph osd blocklist add $CONTROL 2>/dev/null
	"$LAB" thaw xen1
	eventually $PATIENCE heard_of "$before"
	expect_eq "$(content root data)" "$before" "content after the zombie's queued writes"
	eventually $PATIENCE not_fenced $CONTROL
	told=$(told 1 failed)
	eventually $PATIENCE beyond 1 failed $((${told:-0} + 10))
	nothing_written_since
	echo "note: it says: $("$LAB" guestlog xen1 web1 | grep -i 'I/O error, dev' | head -n 1)"
	expect_eq "$(content root data)" "$before" "content after the zombie's writes"
	# It takes the time of the others.
	x 1 'xl pause web1'
	CONTENT=$before
}

# What an administrator does with it.
is_buried() {
	local id said start

	id=$(x 1 'xl domid web1')
	said=$(x 1 'block-rbd gc 2>&1')
	expect_match "$said" "rbd/root: /dev/rbd[0-9]+ of domain $id is dead: .*run .xl destroy $id"
	expect_match "$said" "rbd/data: taken over from domain web1 \($id\) .*run .xl destroy $id., and never"
	start=$EPOCHREALTIME
	x 1 'xl unpause web1 && timeout 60 xl destroy web1'
	echo "note: xl destroy of the zombie: $(tap_seconds "$start") s"
	expect_eq "$(left 1)" "" "left on xen1"
	expect_match "$(x 1 'block-rbd gc 2>&1')" "2 cleaned up"
	expect_eq "$(holders root), $(holders data)" "held,xen2, held,xen2"
	expect_eq "$(content root data)" "$CONTENT" "content after the zombie's end"
	guest 2 web1 'echo still | dd of=/dev/xvdb conv=fsync 2>/dev/null'
	power_off 2 web1
}

# The dead maps keep the fenced client alive; new ones must get another.
starts_beside_it() {
	rbd create --size 8M rbd/third
	up 1 web2 "$(disk rbd:third)" -- 'extra = "console=hvc0 mitigations=off quiet root=none"'
	expect_match "$(x 1 'cat /sys/bus/rbd/devices/*/config_info' | grep ' third ')" noshare
	guest 1 web2 'echo works | dd of=/dev/xvda conv=fsync 2>/dev/null'
	power_off 1 web2
}

heals() {
	trap back_to_normal EXIT
	becomes_zombie
	writes_in_vain
	starts_beside_it
	is_buried
	# As if nothing had been.
	boot 1 web1 -d 'echo again >/data/witness && sync && echo saved; poweroff' \
		"$(disk rbd:root)" "$(disk rbd:data xvdb)"
	"$LAB" guestwait xen1 web1 saved $PATIENCE
	wait_gone 1 web1
	nothing_left root data third
	drop_image root data third
}

heals_without_exclusive_lock() {
	trap back_to_normal EXIT
	becomes_zombie layering
	writes_in_vain
	is_buried
	nothing_left root data
	drop_image root data
}

t "a host without power: takeover, and its return" power_fails
t "a partition that heals: nothing arrives; the host works again" heals
t "a partition that heals: nothing arrives, without exclusive-lock" heals_without_exclusive_lock
summary
