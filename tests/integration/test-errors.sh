#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Whatever can be wrong: one clear sentence, in time, and nothing left.
set -euo pipefail

# shellcheck source=tests/integration/functions.sh
source "$(dirname "$0")/functions.sh"

DISK=51712

# refused TARGET SENTENCE [MODE]: add fails with just this (a whole regular
# expression), which libxl will print, says nothing else, and leaves nothing.
refused() {
	vbd_new 1 1 $DISK "${3:-w}" "$1"
	expect_fail rbd_add 1 1 $DISK
	expect_match "$(vbd_read 1 1 $DISK hotplug-error)" "^$2\$" "hotplug-error"
	expect_eq "$(vbd_read 1 1 $DISK hotplug-status)" error
	expect_eq "$(vbd_read 1 1 $DISK physical-device)" ""
	# libxl prints hotplug-error; the same on stderr would be twice.
	expect_match "$OUTPUT" '^block-rbd add on host 1 [^'$'\n'']*$' "stderr"
	vbd_gone 1 1 $DISK
	nothing_left
}

user() { # user ID MON-CAPS OSD-CAPS: with its keyring on the host
	ceph auth get-or-create "client.$1" mon "$2" osd "$3" 2>/dev/null |
		host 1 tee "/etc/ceph/ceph.client.$1.keyring" >/dev/null
}

no_image() {
	rbd create --size 10M web10
	rbd create --size 10M myweb1
	# The shell script this grew from matched parts of names.
	refused rbd:web1 'rbd/web1: no such image; see `rbd ls rbd`'
	refused web 'rbd/web: no such image; see `rbd ls rbd`'
	refused rbd:web10@v1 'rbd/web10@v1: no such snapshot; see `rbd snap ls`' r
}

no_pool_or_namespace() {
	rbd create --size 10M web1
	refused nopool:web1 'no pool "nopool" in cluster [0-9a-f-]{36}; see `ceph osd pool ls`'
	refused rbd/nons:web1 'no namespace "nons" in pool rbd; see `rbd namespace ls rbd`'
	rbd namespace create rbd/team
	refused rbd/team:web1 'rbd/team/web1: no such image; see `rbd ls rbd/team`'
	rbd namespace rm rbd/team
}

format_1() {
	RBD_FORCE_ALLOW_V1=1 rbd create --size 10M --image-format 1 old 2>/dev/null
	refused rbd:old 'rbd/old: format 1 image; .*'
}

features() {
	rbd create --size 10M --image-feature layering,exclusive-lock,journaling mirrored
	refused rbd:mirrored "map rbd/mirrored: this kernel does not know the image's features: journaling; see \`rbd feature disable\`"
	# Who only reads need not know it.
	vbd_new 1 1 $DISK r rbd:mirrored
	rbd_add 1 1 $DISK
	vbd_gone 1 1 $DISK
	nothing_left
	# An old kernel.
	rbd create --size 10M web1
	krbd 1 features 0x1
	refused rbd:web1 "map rbd/web1: .* features: exclusive-lock, object-map, fast-diff, deep-flatten; .*"
	krbd 1 features 0xffff
	krbd 1 fail-map 6
	refused rbd:web1 "map rbd/web1: the kernel does not know this image's features; see dmesg"
}

snapshot_with_write_access() {
	rbd create --size 10M web1
	rbd snap create --no-progress web1@v1
	refused rbd:web1@v1 'rbd/web1@v1: a snapshot cannot be written to; add access=ro to the disk'
	refused rbd:web1@v1,mode=w 'target: a snapshot cannot be written to: "rbd:web1@v1,mode=w"' r
	rbd snap purge --no-progress web1
}

bad_targets() {
	local garbage

	refused '' 'target: empty; it takes POOL:IMAGE, such as target=rbd:web1'
	refused rbd:web1,moed=r 'target: unknown option; see block-rbd\(8\): "moed=r"'
	refused rbd:web1,timeout=60 'target: timeout= takes 10 to 35 seconds: "timeout=60"'
	refused $'rbd:we\x01b\x1b[2J\n' "target: blank, control character, '/' or '@' in the image name: \"we\\?b\\?\\[2J\\?\""
	# What xenstored takes at most, in one value.
	garbage=$(tr -d '\0' </dev/urandom | head -c 4000 | LC_ALL=C tr -d ',%' || true)
	vbd_new 1 1 $DISK w "$garbage"
	expect_fail rbd_add 1 1 $DISK
	expect_match "$(vbd_read 1 1 $DISK hotplug-error)" '^target: '
	((${#OUTPUT} < 300)) || fail "long: $OUTPUT"
	expect_no_match "$(vbd_read 1 1 $DISK hotplug-error)" '[[:cntrl:]]'
	vbd_gone 1 1 $DISK
	nothing_left
}

users() {
	rbd create --size 10M web1
	refused rbd:web1,id=nobody 'no usable key for client.nobody in /etc/ceph/ceph.client.nobody.keyring; .*'
	# A key that the cluster does not know.
	host 1 ceph-authtool --create-keyring --gen-key -n client.nobody /etc/ceph/ceph.client.nobody.keyring
	refused rbd:web1,id=nobody 'the monitors refuse client.nobody: unknown cephx id or wrong key in /etc/ceph/ceph.client.nobody.keyring; .*'
	# One that it knows, but as somebody else's.
	user other "profile rbd" "profile rbd pool=rbd"
	host 1 ceph-authtool --create-keyring --gen-key -n client.other /etc/ceph/ceph.client.other.keyring
	refused rbd:web1,id=other 'the monitors refuse client.other: .*'
	# Keyrings that are no keyrings.
	host 1 bash -c 'echo junk >/etc/ceph/ceph.client.junk.keyring'
	refused rbd:web1,id=junk 'no usable key for client.junk in .*'
	host 1 mkdir /etc/ceph/ceph.client.dir.keyring
	refused rbd:web1,id=dir 'no usable key for client.dir in .*'
}

configuration() {
	refused rbd:web1,conf=/nowhere/ceph.conf 'ceph configuration /nowhere/ceph.conf: No such file or directory; .*'
	refused rbd:web1,cluster=other 'ceph configuration /etc/ceph/other.conf: No such file or directory; .*'
}

caps() {
	rbd create --size 10M web1
	user none "profile rbd" "allow r pool=none"
	refused rbd:web1,id=none 'open rbd/web1: the caps of client.none are too small; it needs .*'
	user reader "profile rbd" "profile rbd-read-only pool=rbd"
	refused rbd:web1,id=reader 'lock rbd/web1: the caps of client.reader are too small; it needs .*'
	refused rbd:web1,id=reader 'lock rbd/web1: the caps of client.reader are too small; it needs .*' r
}

no_module() {
	rbd create --size 10M web1
	host 1 mount -t tmpfs none /sys/bus/rbd
	vbd_new 1 1 $DISK w rbd:web1
	expect_fail rbd_add 1 1 $DISK
	expect_eq "$(vbd_read 1 1 $DISK hotplug-error)" \
		"map rbd/web1: the kernel's rbd module is not loaded; run \`modprobe rbd\`"
	vbd_gone 1 1 $DISK
	host 1 umount /sys/bus/rbd
	nothing_left
}

foreign_lock() {
	local i

	rbd create --size 10M --image-feature layering plain
	rbd create --size 10M default
	for i in plain default; do
		rbd lock add $i mine
		vbd_new 1 1 $DISK w rbd:$i
		expect_fail rbd_add 1 1 $DISK
		expect_match "$(vbd_read 1 1 $DISK hotplug-error)" \
			"^rbd/$i: locked by somebody else: rbd_lock has exclusive entry \"mine\" \(tag \"\"\) from client\.[0-9]+ at .*; see \`rbd lock ls\`"
		vbd_gone 1 1 $DISK
		rbd lock rm $i mine "$(rbd lock ls --format json $i | grep -o 'client\.[0-9]*')"
		rbd lock add --shared theirs $i mine
		vbd_new 1 1 $DISK r rbd:$i
		expect_fail rbd_add 1 1 $DISK
		expect_match "$(vbd_read 1 1 $DISK hotplug-error)" \
			"shared entry \"mine\" \(tag \"theirs\"\)"
		vbd_gone 1 1 $DISK
		rbd lock rm $i mine "$(rbd lock ls --format json $i | grep -o 'client\.[0-9]*')"
	done
	nothing_left
}

pool_is_full() {
	ceph osd pool get rbd all >/dev/null
	rbd create --size 10M web1
	rbd bench --io-type write --io-size 4M --io-total 8M web1 >/dev/null
	ceph osd set-nearfull-ratio 0.0001 2>/dev/null
	ceph osd set-backfillfull-ratio 0.0001 2>/dev/null
	ceph osd set-full-ratio 0.0001 2>/dev/null
	eventually 60 full
	refused rbd:web1 'pool rbd \(or its image.s data pool\) is full: a writer would hang at its first write; .*'
	# Who only reads is not kept out.
	vbd_new 1 1 $DISK r rbd:web1
	rbd_add 1 1 $DISK
	vbd_gone 1 1 $DISK
	ceph osd set-full-ratio 0.95 2>/dev/null
	ceph osd set-backfillfull-ratio 0.90 2>/dev/null
	ceph osd set-nearfull-ratio 0.85 2>/dev/null
	eventually 60 not_full
	nothing_left
}

full() {
	ceph osd pool ls detail | grep -q 'flags [^ ]*\bfull'
}

not_full() {
	! full
}

# What the kernel can say to a map.
kernel_errors() {
	rbd create --size 10M web1
	krbd 1 fail-map 110
	refused rbd:web1 "map rbd/web1: the kernel's client got no answer from the cluster in time; .*"
	krbd 1 fail-map 30
	refused rbd:web1 'map rbd/web1: another client has mapped it exclusively .*'
	krbd 1 fail-map 1
	refused rbd:web1 "map rbd/web1: the cluster refuses the kernel's client, .*"
	krbd 1 fail-map 22
	refused rbd:web1 'map rbd/web1: the kernel does not take these options; .*'
	krbd 1 fail-map 5
	refused rbd:web1 'map rbd/web1: Input/output error; see dmesg'
}

no_xenstored() {
	expect_fail host 1 env XENSTORED_PATH=/nowhere LD_LIBRARY_PATH="$(dirname "$(find_block_rbd)")/../../libxlrbd/.libs" \
		XENBUS_PATH=backend/vbd/1/$DISK "$(find_block_rbd)" add
	expect_match "$OUTPUT" 'connect to xenstored: .*; is this a Xen host, and root\?'
}

usage() {
	local program
	program=$(find_block_rbd)
	for i in "" "online" "add more"; do
		# shellcheck disable=SC2086 # words
		expect_fail env LD_LIBRARY_PATH="$(dirname "$program")/../../libxlrbd/.libs" "$program" $i
		expect_match "$OUTPUT" '^usage: block-rbd add\|remove'
	done
	expect_fail env LD_LIBRARY_PATH="$(dirname "$program")/../../libxlrbd/.libs" "$program" add
	expect_match "$OUTPUT" 'XENBUS_PATH is not set'
	for i in junk backend/vbd/1 backend/vbd/1/2/3 backend/vbd/-1/2 backend/vif/1/0 ../backend/vbd/1/2; do
		expect_fail host 1 env LD_LIBRARY_PATH="$(dirname "$program")/../../libxlrbd/.libs" XENBUS_PATH=$i "$program" add
		expect_match "$OUTPUT" 'is not backend/vbd/DOMID/DEVID'
	done
}

world_start 1
t "no such image or snapshot, and names that are part of another" no_image
t "no such pool or namespace" no_pool_or_namespace
t "format 1" format_1
t "features that the kernel lacks" features
t "a snapshot with write access" snapshot_with_write_access
t "targets: empty, bad option, control characters, garbage" bad_targets
t "users: unknown, wrong key, unusable keyring" users
t "no configuration" configuration
t "caps too small" caps
t "no rbd module" no_module
t "somebody else's lock" foreign_lock
t "a full pool" pool_is_full
t "errors of the kernel's map" kernel_errors
t "no xenstored" no_xenstored
t "wrong usage" usage
summary
