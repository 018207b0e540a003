#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A second writer is refused, on the same host and from another.
. "$(dirname "$0")/functions.sh"

NO_ROOT='extra = "console=hvc0 mitigations=off quiet root=none"'

# refused HOST DISK SENTENCE: xl create prints SENTENCE, once.
refused() {
	expect_fail boot "$1" loser "$2" -- "$NO_ROOT"
	expect_match "$OUTPUT" "$3"
	expect_eq "$(grep -c 'held for' <<<"$OUTPUT")" 1 "times that the sentence is printed"
	domain_gone "$1" loser
}

second_domain() {
	local uuid host

	root_image root "$@"
	up 1 web1 "$(disk rbd:root)"
	uuid=$(x 1 'xl domid web1' | xargs -I{} "$LAB" run xen1 "xenstore-read /local/domain/{}/vm")
	for host in 1 2; do
		refused $host "$(disk rbd:root)" \
			"rbd/root: held for writing by domain web1 \(${uuid#/vm/}\) on host xen1 since 20"
		refused $host "$(disk rbd:root xvda access=ro)" "rbd/root: held for writing by domain web1"
		refused $host "$(disk rbd:root,mode=w!)" "rbd/root: held for writing by domain web1"
	done
	# The holder has noticed nothing.
	guest 1 web1 'echo alive >/data/witness && sync'
	expect_eq "$(lockers root | wc -l)" 1 "entries"
	power_off 1 web1
	nothing_left root
	drop_image root
}

readers_keep_writers_out() {
	rbd create --size 8M rbd/tools
	up 1 web1 "$(disk rbd:tools xvda access=ro)" -- "$NO_ROOT"
	refused 2 "$(disk rbd:tools)" "rbd/tools: held for reading by domain web1"
	refused 1 "$(disk rbd:tools,mode=w!)" "rbd/tools: held for reading by domain web1"
	power_off 1 web1
	nothing_left tools
	drop_image tools
}

started() {
	boot "$1" "$2" "$(disk rbd:root)" >"$3" 2>&1
}

both_at_once() {
	local a b first=0 second=0 winner=1

	root_image root "$@"
	a=$(mktemp) b=$(mktemp)
	started 1 racer1 "$a" &
	local pid=$!
	started 2 racer2 "$b" || second=$?
	wait $pid || first=$?
	cat "$a" "$b"
	expect_eq $(((first == 0) + (second == 0))) 1 "number of winners"
	((first == 0)) || winner=2
	expect_match "$(cat "$a" "$b")" "rbd/root: (held|being attached) for writing by domain racer$winner \(.*\) on host xen$winner"
	rm -f "$a" "$b"
	"$LAB" guestwait xen$winner racer$winner "lab: guest up" $PATIENCE
	power_off $winner racer$winner
	nothing_left root
	drop_image root
}

t "a second domain on the same and on another host" second_domain
t "the same on an image with layering only" second_domain layering
t "readers keep writers out" readers_keep_writers_out
t "two hosts start a domain on one image at the same moment" both_at_once
t "the same on an image with layering only, at the same moment" both_at_once layering
summary
