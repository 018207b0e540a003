#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# xlrbd: who runs where, and what may be taken from whom.  Wrong usage and whatever does not answer:
# test-xlrbd-errors.sh; definitions, and how long it all takes: test-xlrbd-definitions.sh; the commands that need a Xen
# host: the lab's suite/xlrbd.sh.
set -euo pipefail

# shellcheck source=tests/integration/functions.sh
source "$(dirname "$0")/functions.sh"
# shellcheck source=tests/integration/xlrbd.sh
source "$(dirname "$0")/xlrbd.sh"

DISK=51712
DATA=51728
WEB=00000001-0000-4000-8000-00000000000a

# What a person sees, and what a program sees.
who_runs_where() {
	local list='["disks","domain","domid","host","since","status","uuid"]' n table
	local holder='["address","device","domain","domid","entry","host","image","life","mode","since","state","uuid"]'

	create root data db
	attach 1 1 $DISK w rbd:root web1
	attach 1 1 $DATA w rbd:data web1
	attach 2 7 $DISK w rbd:db db
	for n in 1 2; do
		domains $'db xen2 running 1\nweb1 xen1 running 2' $n list --cluster
	done
	domains "web1 xen1 running 2" 1 list
	domains "db xen2 running 1" 2 list
	domains "web1 xen1 running 2" 2 where web1
	expect_eq "$(jq -c 'map(keys) | unique' <<<"$OUT")" "[$list]" "keys"
	expect_eq "$(jq -c '[.[].disks[] | keys] | unique' <<<"$OUT")" "[$holder]" "keys of disks"
	expect_eq "$(jq -c '.[] | [.uuid, .domid, [.disks[].device]]' <<<"$OUT")" \
		"[\"$(default_uuid 1 1)\",1,[$DATA,$DISK]]"
	locks $'rbd/data w held alive web1 xen1\nrbd/db w held alive db xen2\nrbd/root w held alive web1 xen1' 1
	expect_eq "$(jq -c 'map(keys) | unique' <<<"$OUT")" "[$holder]" "keys"
	expect_eq "$(jq -r '.[1].address' <<<"$OUT")" "$(host 2 cat /sys/bus/rbd/devices/0/client_addr)"
	locks $'rbd/db w held alive db xen2\nrbd/root w held alive web1 xen1' 2 rbd:db rbd/root
	locks 'rbd/root w held alive web1 xen1' 2 root
	shows 1 list -c
	table="^DOMAIN +HOST +STATUS +DISKS +SINCE *"$'\n'
	table+="db +xen2 +running +1 +$WHEN"$'\n'"web1 +xen1 +running +2 +$WHEN\$"
	expect_match "$OUT" "$table"
	shows 1 locks db
	table="^IMAGE +MODE +STATE +LIFE +DOMAIN +HOST +SINCE +ADDRESS +ENTRY *"$'\n'
	table+="rbd/db +w +held +alive +db +xen2 +$WHEN +10\.78\.0\.12:0/[0-9]+ +client\.[0-9]+\$"
	expect_match "$OUT" "$table"
	# What is not understood does not hide the others.
	xlrbd 1 locks db 'rbd:%' root
	expect_eq "$RC $(grep -c '^rbd/' <<<"$OUT")" "1 2" "rows beside a name that is none: $OUT"
	expect_match "$ERR" '^xlrbd: target: ' "what is said of that name"
	# A part of a name is another name.
	refuses 'web: no host holds a disk for it' 1 where web
	xlrbd 1 where --json nobody
	expect_eq "$RC $OUT $ERR" "1 [] "
	refuses 'rbd/nothing: no such image; see .rbd ls rbd.' 1 locks rbd:nothing
	vbd_gone 1 1 $DISK
	domains "web1 xen1 running 1" 2 where web1
	vbd_gone 1 1 $DATA
	vbd_gone 2 7 $DISK
	shows 1 list --cluster
	expect_eq "$OUT" "" "the table without rows"
	domains "" 1 list --cluster
	nothing_left
}

migrating_pair() {
	create image
	attach 1 1 $DISK w rbd:image web1 $WEB
	attach 2 2 $DISK w rbd:image web1--incoming $WEB
	domains $'web1 xen1 running 1\nweb1 xen2 arriving 1' 1 where web1
	domains "web1 xen2 arriving 1" 2 list
	refuses 'web1--incoming: no host holds a disk for it' 1 where web1--incoming
	vbd_gone 1 1 $DISK
	domains "web1 xen2 running 1" 1 where web1
	vbd_gone 2 2 $DISK
	nothing_left
}

# From pending to fenced.
signs_of_life() {
	create root old new
	rbd snap create --no-progress old@v1
	attach 1 1 $DISK w rbd:root web1
	attach 2 2 $DISK r rbd:old@v1 reader
	attach_killed 2 3 $DISK w rbd:new fresh
	locks $'rbd/new w pending unknown fresh xen2\nrbd/old r held unknown reader xen2\nrbd/root w held alive web1 xen1' 2
	expect_eq "$(jq -c 'map(.snapshot)' <<<"$OUT")" '[null,"v1",null]' "snapshots"
	domains $'fresh xen2 starting 1\nreader xen2 held 1\nweb1 xen1 running 1' 1 list --cluster
	rbd_add 2 3 $DISK
	# Its host's client has a watch now, if on another image.
	domains $'fresh xen2 running 1\nreader xen2 running 1\nweb1 xen1 running 1' 1 list --cluster
	host_crash 1
	eventually 60 status_is 2 web1 silent
	locks 'rbd/root w held silent web1 xen1' 2 root
	shows 2 takeover --yes web1
	domains "web1 xen1 fenced 1" 2 where web1
	locks 'rbd/root w fenced unknown web1 xen1' 2 root
	# Back, and started again: its tombstone is another matter than its disk.
	host_start 1
	attach 1 4 $DISK w rbd:root web1 "$(default_uuid 1 1)"
	domains $'web1 xen1 fenced 1\nweb1 xen1 running 1' 2 where web1
	shows 1 gc
	domains "web1 xen1 running 1" 2 where web1
	vbd_gone 1 4 $DISK
	vbd_gone 2 2 $DISK
	vbd_gone 2 3 $DISK
	nothing_left
}

pools_and_namespaces() {
	local rows

	user all 'profile rbd' 'profile rbd'
	ceph osd pool create other 8 2>/dev/null
	ceph osd pool application enable other rbd 2>/dev/null
	rbd namespace create rbd/team
	rbd namespace create other/team
	create image rbd/team/image other/image other/team/image
	attach 1 1 $DISK w rbd:image,id=all one
	attach 1 2 $DISK w rbd/team:image,id=all two
	attach 2 3 $DISK w other:image,id=all one
	attach 2 4 $DISK w other/team:image,id=all two
	rows=$'rbd/image w held alive one xen1\nrbd/team/image w held alive two xen1\n'
	rows+=$'other/image w held alive one xen2\nother/team/image w held alive two xen2'
	locks "$rows" 1 --id all
	domains $'two xen1 running 1\ntwo xen2 running 1' 1 where two --id all
	locks 'rbd/team/image w held alive two xen1' 2 rbd/team/image
	locks 'other/team/image w held alive two xen2' 2 --id all other/team:image
	# client.xen may not look into the other pool, which is nothing to complain about, and everything else is there.
	xlrbd 1 list --cluster --json
	expect_eq "$RC $ERR" "0 "
	expect_eq "$(domain_rows)" $'one xen1 running 1\ntwo xen1 running 1'
	xlrbd 1 list --cluster
	expect_match "$OUT" $'\n''one +xen1 .*'$'\n''two +xen1 '
	expect_no_match "$OUT" xen2
	expect_eq "$RC $ERR" "0 "
	refuses 'open other/image: the caps of client\.xen are too small.*' 1 locks other/image
	for i in 1 2; do
		vbd_gone 1 $i $DISK
		vbd_gone 2 $((i + 2)) $DISK
	done
	rbd rm --no-progress rbd/team/image
	rbd namespace rm rbd/team
	nothing_left
}

# A clone whose parent this user may not read cannot be opened, so nobody knows who watches it.
image_in_trouble() {
	user all 'profile rbd' 'profile rbd'
	ceph osd pool create golden 8 2>/dev/null
	ceph osd pool application enable golden rbd 2>/dev/null
	create golden/base zimage
	rbd snap create --no-progress golden/base@v1
	rbd snap protect golden/base@v1
	rbd clone golden/base@v1 rbd/clone
	attach 1 1 $DISK w rbd:clone,id=all web1
	attach 2 2 $DISK w rbd:zimage web2
	xlrbd 1 locks --json
	expect_eq "$RC" 1
	# Held for writing and not seen to be alive: but not seen to be dead either.
	expect_eq "$(lock_rows)" $'rbd/clone w held unknown web1 xen1\nrbd/zimage w held alive web2 xen2'
	expect_match "$ERR" 'xlrbd: open rbd/clone: the caps of client\.xen are too small'
	xlrbd 1 list --cluster --json
	expect_eq "$RC $(domain_rows)" $'1 web1 xen1 held 1\nweb2 xen2 running 1'
	refuses 'open rbd/clone: the caps of client\.xen are too small.*' 1 unlock rbd/clone \
		"$(entry_of 1 clone held 2>/dev/null)"
	vbd_gone 1 1 $DISK
	vbd_gone 2 2 $DISK
	rbd rm --no-progress clone
	nothing_left
}

# A pool that has no OSD, and host 1 in no mood to wait for it long.
lose_a_pool() {
	user all 'profile rbd' 'profile rbd'
	ceph osd crush add-bucket nowhere root 2>/dev/null
	ceph osd crush rule create-replicated nowhere nowhere osd 2>/dev/null
	ceph osd pool create lost 1 1 replicated nowhere 2>/dev/null
	host 1 tee /etc/xen/xlrbd.conf <<<"timeout = $TIMEOUT" >/dev/null
}

pool_without_osds() {
	create image
	attach 1 1 $DISK w rbd:image web1
	lose_a_pool
	xlrbd 1 list --cluster --json --id all
	expect_eq "$RC $(domain_rows)" "1 web1 xen1 running 1"
	# shellcheck disable=SC2016 # a quotation
	expect_eq "$ERR" 'xlrbd: list images of lost: the OSDs did not answer in time; see `ceph health detail`'
	((MS <= AT_MOST)) || fail "took $MS ms"
	echo "note: $MS ms of $((TIMEOUT * 1000))"
	host 1 rm /etc/xen/xlrbd.conf
	vbd_gone 1 1 $DISK
	nothing_left
}

unlock() {
	local entry

	create image other
	# A killed helper's: another host can go on.
	attach_killed 1 1 $DISK w rbd:image killed
	shows 2 unlock rbd:image "$(entry_of 2 image pending)"
	attach 2 2 $DISK w rbd:image web2
	vbd_gone 1 1 $DISK
	# A living writer's.
	entry=$(entry_of 1 image held)
	refuses 'rbd/image: held for writing by domain web2 .* on host xen2 .*; not unlocked: it is alive; .*' \
		1 unlock image "$entry"
	refuses 'rbd/image: no entry "client.1"; see .xlrbd locks rbd/image.' 1 unlock rbd/image client.1
	refuses 'rbd/nothing: no such image; .*' 1 unlock rbd:nothing "$entry"
	refuses 'rbd/other: no entry .*' 1 unlock rbd:other "$entry"
	# A reader's, alive or not: nobody can tell, and it can do no harm.
	attach 1 3 $DISK r rbd:other reader
	shows 2 unlock other "$(entry_of 1 other held)"
	locks '' 1 other
	vbd_gone 1 3 $DISK
	# A silent writer's is the takeover's affair, a tombstone is not.
	host_crash 2
	eventually 60 status_is 1 web2 silent
	refuses 'rbd/image: held for writing by domain web2 .*; not unlocked: it is silent, .*xlrbd takeover. fences it.*' \
		1 unlock image "$entry"
	locks 'rbd/image w held silent web2 xen2' 1 image
	shows 1 takeover --yes web2
	shows 1 unlock image "$(entry_of 1 image fenced)"
	locks '' 1
	host_start 2
	attach 1 4 $DISK w rbd:image web2
	vbd_gone 1 4 $DISK
	nothing_left
}

answer() { # answer HOST TEXT ARGUMENT...: xlrbd at a terminal, where somebody types that; sets RC and OUT
	local text=$2 words

	tool_words "$1"
	shift 2
	printf -v words '%q ' "${TOOL[@]}" "$@"
	RC=0
	OUT=$(script -qec "$words" /dev/null <<<"$text") || RC=$?
	printf '%s\n' "$OUT" >&2
}

colours() { # where xen1 is silent
	local red=$'\e.31msilent\e.0m' # as a pattern

	TERM=xterm answer 2 '' list --cluster
	expect_match "$OUT" "web1 +xen1 +$red +2 "
	TERM=xterm answer 2 '' locks
	expect_match "$OUT" "rbd/data +w +held +$red +web1 "
	TERM=dumb answer 2 '' list --cluster
	expect_no_match "$OUT" $'\e'
	TERM=xterm NO_COLOR=1 answer 2 '' list --cluster
	expect_no_match "$OUT" $'\e'
	TERM=xterm xlrbd 2 list --cluster
	expect_no_match "$OUT" $'\e'
}

takes_over() {
	local addr table

	create root data other
	attach 1 1 $DISK w rbd:root web1
	attach 1 1 $DATA w rbd:data web1
	attach 1 2 $DISK w rbd:other web2
	addr=$(host 1 cat /sys/bus/rbd/devices/0/client_addr)
	xlrbd 2 takeover --yes web1
	expect_eq "$RC $OUT" "1 " "of a living host"
	expect_match "$ERR" 'xlrbd: rbd/data: held .* on host xen1 .*that host is alive'
	expect_eq "$(grep -c 'that host is alive' <<<"$ERR")" 2 "disks of a living host"
	host_crash 1
	eventually 60 status_is 2 web1 silent
	eventually 60 status_is 2 web2 silent
	colours
	table="^IMAGE +DOMAIN +HOST +SINCE +CLIENT TO FENCE *"$'\n'
	table+="rbd/data +web1 +xen1 +$WHEN +$addr"$'\n'
	table+="rbd/other +web2 +xen1 +$WHEN +$addr"$'\n'
	table+="rbd/root +web1 +xen1 +$WHEN +$addr"
	shows 2 takeover --dry-run web1
	expect_match "$OUT" "$table\$"
	shows 2 takeover -nj web1
	expect_eq "$(jq -r '.[].image' <<<"$OUT" | xargs)" "rbd/data rbd/other rbd/root"
	expect_eq "$(jq -c '.[0] | [.domain, .host, .address, .mode, .state, .life, .domid, .device]' <<<"$OUT")" \
		"[\"web1\",\"xen1\",\"$addr\",\"w\",\"held\",\"silent\",1,$DATA]"
	# Nobody there to be asked.
	xlrbd 2 takeover web1
	expect_match "$OUT" "$table\$"
	expect_eq "$RC $ERR" "1 xlrbd: nothing done: say --yes, or run it from a terminal"
	answer 2 n takeover web1
	expect_match "$RC $OUT" '^1 .*fence and take over\? \[y/N\]'
	answer 2 '' takeover web1
	expect_eq "$RC" 1 "after just Enter"
	expect_no_match "$(ceph osd blocklist ls 2>/dev/null)" "$addr" "fences"
	locks $'rbd/data w held silent web1 xen1\nrbd/other w held silent web2 xen1\nrbd/root w held silent web1 xen1' 2
	if [[ $1 == --yes ]]; then
		shows 2 takeover --yes web1
		expect_match "$OUT" "$table\$"
	else
		answer 2 y takeover web1
		expect_eq "$RC" 0
	fi
	expect_match "$(ceph osd blocklist ls 2>/dev/null)" "$addr"
	# Its other domain's disk is cut off as well, but not taken.
	locks $'rbd/data w fenced unknown web1 xen1\nrbd/other w held silent web2 xen1\nrbd/root w fenced unknown web1 xen1' 2
	shows 2 takeover --yes web1
	attach 2 1 $DISK w rbd:root web1
	attach 2 1 $DATA w rbd:data web1
	expect_eq "$(krbd 2 io 0 write)" ok
	domains $'web1 xen1 fenced 2\nweb1 xen2 running 2' 2 where web1
	vbd_gone 2 1 $DISK
	vbd_gone 2 1 $DATA
	host_start 1
	shows 1 gc
	attach 1 2 $DISK w rbd:other web2
	vbd_gone 1 2 $DISK
	nothing_left
}

# One that is alive and one that is nowhere are in nobody's way.
takes_over_several() {
	create root other live
	attach 1 1 $DISK w rbd:root web1
	attach 1 2 $DISK w rbd:other web2
	attach 2 1 $DISK w rbd:live web3
	host_crash 1
	eventually 60 status_is 2 web1 silent
	eventually 60 status_is 2 web2 silent
	xlrbd 2 takeover --yes --json web1 web3 nobody web2
	expect_eq "$RC" 1
	expect_match "$ERR" 'xlrbd: nobody: no host holds a disk for it; it can be started'
	expect_match "$ERR" 'xlrbd: rbd/live: held .* on host xen2 .*; not taken over: '
	expect_eq "$(jq -r '.[].image' <<<"$OUT" | sort | xargs)" "rbd/other rbd/root" "each once"
	locks $'rbd/live w held alive web3 xen2\nrbd/other w fenced unknown web2 xen1\nrbd/root w fenced unknown web1 xen1' 2
	shows 2 takeover --yes web1 web2
	vbd_gone 2 1 $DISK
	host_start 1
	shows 1 gc
	# The dead kernel's own lock goes when the next one maps the image.
	attach 1 1 $DISK w rbd:root web1
	attach 1 2 $DISK w rbd:other web2
	vbd_gone 1 1 $DISK
	vbd_gone 1 2 $DISK
	nothing_left
}

takeover_of_nobody() {
	create image
	refuses 'web1: no host holds a disk for it; it can be started' 1 takeover --yes web1
	# What could not be looked at is no reason to be silent about that.
	lose_a_pool
	xlrbd 1 takeover --yes web1 --id all
	expect_eq "$RC $OUT" "1 "
	expect_match "$ERR" 'xlrbd: web1: no host holds a disk for it'
	expect_match "$ERR" 'xlrbd: list images of lost: the OSDs did not answer in time'
	host 1 rm /etc/xen/xlrbd.conf
}

# Names in which a target would see more than a name: those images are taken, and no others.
odd_names() {
	local targets=(web%3a1 a%2cmode=r a%2541 a=b) name n

	rbd namespace create rbd/web
	create web:1 a,mode=r a%41 a=b aA a rbd/web/1
	for n in 1 2 3 4; do
		attach 1 1 $((DISK + 16 * n)) w "rbd:${targets[n - 1]}" odd
	done
	n=10
	for name in rbd:aA rbd:a rbd/web:1; do
		attach 1 $((++n)) $DISK w "$name" other "$(default_uuid 1 11)"
	done
	locks 'rbd/a%41 w held alive odd xen1' 2 rbd:a%2541
	host_crash 1
	eventually 60 status_is 2 odd silent
	eventually 60 status_is 2 other silent
	shows 2 takeover --yes odd
	shows 2 locks -j
	expect_eq "$(jq -r '.[] | select(.state == "fenced") | .image' <<<"$OUT" | sort | xargs)" \
		"rbd/a%41 rbd/a,mode=r rbd/a=b rbd/web:1"
	host_start 1
	shows 1 gc
	shows 1 gc rbd/web
	locks '' 2
	rados purge rbd --yes-i-really-really-mean-it >/dev/null
}

gc_of_a_host() {
	create image
	rbd namespace create rbd/team
	shows 1 gc
	expect_match "$OUT" "^POOL +CLEANED UP *"$'\n'"rbd +0\$"
	shows 1 gc -j rbd rbd/team
	expect_eq "$(jq -c . <<<"$OUT")" '[{"pool":"rbd","cleaned":0},{"pool":"rbd/team","cleaned":0}]'
	# Of an earlier boot: only its own host may, and can.
	attach_killed 1 1 $DISK w rbd:image web1
	host_crash 1
	host_start 1
	shows 2 gc -j
	expect_eq "$(jq -c . <<<"$OUT")" '[{"pool":"rbd","cleaned":0}]'
	locks 'rbd/image w pending unknown web1 xen1' 2
	shows 1 gc -j
	expect_eq "$(jq -c . <<<"$OUT")" '[{"pool":"rbd","cleaned":1}]'
	locks '' 2
	# One that is not there does not keep the others from it.
	xlrbd 1 gc nowhere rbd
	expect_eq "$RC" 1
	expect_match "$OUT" $'\n''rbd +0$'
	expect_match "$ERR" '^xlrbd: no pool "nowhere" in cluster '
	rbd namespace rm rbd/team
	nothing_left
}

world_start 2
# So that the dead are known to be dead sooner than after 30 s.
ceph config set osd osd_client_watch_timeout 8
t "who runs where" who_runs_where
t "a migrating pair" migrating_pair
t "signs of life: pending, held, silent, fenced" signs_of_life
t "several pools and namespaces, one not to be read" pools_and_namespaces
t "an image in trouble" image_in_trouble
t "a pool without OSDs" pool_without_osds
t "unlock: what may go and what may not" unlock
t "takeover --yes of a domain" takes_over --yes
t "takeover at a terminal" takes_over y
t "takeover of several" takes_over_several
t "takeover of what nobody holds" takeover_of_nobody
t "names of images that need care" odd_names
t "gc" gc_of_a_host
summary
