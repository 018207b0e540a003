#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Whatever can be wrong, as the administrator meets it: through xl create on a real host.
. "$(dirname "$0")/functions.sh"

NO_ROOT='extra = "console=hvc0 mitigations=off quiet root=none"'

# refused DISK SENTENCE: xl prints it, once, in time, and nothing is left.
refused() {
	local start=$SECONDS

	expect_fail boot 1 web1 "$1" -- "$NO_ROOT"
	expect_match "$OUTPUT" "script: $2"
	expect_no_match "$OUTPUT" "timed? out waiting|timeout for" "xl's output"
	((SECONDS - start < 60)) || fail "took $((SECONDS - start)) s"
	nothing_left
}

images() {
	rbd create --size 8M rbd/web10
	rbd snap create --no-progress rbd/web10@v1
	refused "$(disk rbd:web1)" 'rbd/web1: no such image; see `rbd ls rbd`'
	refused "$(disk rbd:eb10)" 'rbd/eb10: no such image'
	refused "$(disk nopool:web10)" 'no pool "nopool" in cluster'
	refused "$(disk rbd/nons:web10)" 'no namespace "nons" in pool rbd'
	refused "$(disk rbd:web10@v1)" 'rbd/web10@v1: a snapshot cannot be written to; add access=ro'
	refused "$(disk rbd:web10@v2 xvda access=ro)" 'rbd/web10@v2: no such snapshot'
	RBD_FORCE_ALLOW_V1=1 rbd create --size 8M --image-format 1 rbd/old 2>/dev/null
	refused "$(disk rbd:old)" 'rbd/old: format 1 image'
	rbd create --size 8M --image-feature layering,exclusive-lock,journaling rbd/journal
	refused "$(disk rbd:journal)" "map rbd/journal: this kernel does not know the image's features: journaling"
	rbd snap purge --no-progress rbd/web10
	drop_image web10 old journal
}

targets() {
	refused "$(disk rbd:web1,moed=r)" 'target: unknown option; see block-rbd\(8\): "moed=r"'
	refused "$(disk rbd:web1,mode=x)" 'target: mode= takes one of r, w, r!, w!: "mode=x"'
	refused "$(disk $'rbd:we\ab')" "target: blank, control character, '/' or '@' in the image name: \"we\?b\""
	refused "$(disk "rbd:$(head -c 3000 /dev/zero | tr '\0' '%')")" 'target: bad %XX in the image name: "%%%%'
	refused "$(disk "")" 'target: empty; it takes POOL:IMAGE'
}

users() {
	local key

	rbd create --size 8M rbd/web1
	refused "$(disk rbd:web1,id=nobody)" 'no usable key for client.nobody in /etc/ceph/ceph.client.nobody.keyring'
	key=$(ceph-authtool --gen-print-key)
	x 1 "printf '[client.nobody]\n\tkey = $key\n' >/etc/ceph/ceph.client.nobody.keyring"
	refused "$(disk rbd:web1,id=nobody)" 'the monitors refuse client.nobody: unknown cephx id or wrong key'
	x 1 'echo junk >/etc/ceph/ceph.client.nobody.keyring'
	refused "$(disk rbd:web1,id=nobody)" 'no usable key for client.nobody'
	x 1 'rm /etc/ceph/ceph.client.nobody.keyring'
	"$LAB" ceph ceph auth get-or-create client.weak mon 'profile rbd' osd 'profile rbd-read-only pool=rbd' 2>/dev/null |
		x 1 'cat >/etc/ceph/ceph.client.weak.keyring'
	refused "$(disk rbd:web1,id=weak)" 'lock rbd/web1: the caps of client.weak are too small'
	x 1 'rm /etc/ceph/ceph.client.weak.keyring'
	drop_image web1
}

module() {
	rbd create --size 8M rbd/web1
	x 1 'modprobe -r rbd'
	refused "$(disk rbd:web1)" "map rbd/web1: the kernel's rbd module is not loaded; run .modprobe rbd."
	x 1 'modprobe rbd'
	drop_image web1
}

foreign_lock() {
	local locker

	rbd create --size 8M rbd/web1
	rbd lock add rbd/web1 mine
	refused "$(disk rbd:web1)" 'rbd/web1: locked by somebody else: rbd_lock has exclusive entry "mine"'
	locker=$(rbd lock ls --format json rbd/web1 | jq -r '.[0].locker')
	rbd lock rm rbd/web1 mine "$locker"
	drop_image web1
}

silent() { # silent WHO SENTENCE
	rbd create --size 8M rbd/web1
	"$LAB" cluster pause "$1"
	expect_fail boot 1 web1 "$(disk rbd:web1,timeout=15)" -- "$NO_ROOT"
	"$LAB" cluster resume "$1"
	expect_match "$OUTPUT" "script: $2"
	nothing_left web1
	drop_image web1
}

full_ratio() {
	"$LAB" ceph ceph osd set-nearfull-ratio "$1"
	"$LAB" ceph ceph osd set-backfillfull-ratio "$1"
	"$LAB" ceph ceph osd set-full-ratio "$1"
} 2>/dev/null


full() {
	"$LAB" ceph ceph osd pool ls detail --format json | jq -e '.[0].flags_names | split(",") | index("full")' >/dev/null
}

not_full() {
	! full
}

full_pool() {
	# However it ends: nobody can write to a full pool, not even who cleans up.
	trap 'full_ratio 0.95' EXIT
	rbd create --size 16M rbd/web1
	rbd bench --io-type write --io-size 4M --io-total 8M rbd/web1 >/dev/null
	full_ratio 0.0001
	eventually $PATIENCE full
	refused "$(disk rbd:web1)" 'pool rbd .* is full: a writer would hang'
	full_ratio 0.95
	eventually $PATIENCE not_full
	drop_image web1
}

t "xl create: image, pool, namespace, snapshot, format, features" images
t "xl create: bad targets" targets
t "xl create: unknown user, wrong key, no key, small caps" users
t "xl create: no rbd module" module
t "xl create: somebody else's lock" foreign_lock
t "xl create: all monitors are silent" silent mon 'no monitor of /etc/ceph/ceph.conf'
t "xl create: the OSDs are silent" silent osd 'open rbd/web1: the OSDs did not answer in time'
t "xl create: full pool" full_pool
summary
