#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Definitions of domains in the pool: what is unique, and who wins.  And how long the commands take in a cluster with
# hundreds of images.  `xlrbd define` itself needs a Xen host: the lab's suite/xlrbd.sh.
set -euo pipefail

# shellcheck source=tests/integration/functions.sh
source "$(dirname "$0")/functions.sh"
# shellcheck source=tests/integration/xlrbd.sh
source "$(dirname "$0")/xlrbd.sh"

DISK=51712
U1=00000000-0000-4000-8000-000000000001
U2=00000000-0000-4000-8000-000000000002
M1=00:16:3e:00:00:01
M2=00:16:3e:00:00:02

definitions() { # definitions HOST POOL[/NAMESPACE] <COMMANDS: see lib/definitions.c
	host "$1" env LD_LIBRARY_PATH="$(realpath "${XLRBD_BUILD:-$TESTS/..}/libxlrbd/.libs")" \
		"$("$LIB/built" definitions)" "$2"
}

answers() { # answers REGEX COMMAND [POOL]: of one command on host 1
	expect_match "$(definitions 1 "${3:-rbd}" <<<"$2")" "^$1\$" "$2"
}

a_life() {
	answers 'ENOENT no domain "web1" is defined in rbd; see .*' "load web1"
	answers "ok web1 1 $U1 $M1 $M2" "store web1 $U1 0 $M1 $M2"
	answers "ok web10 1 $U2 " "store web10 $U2 0"
	answers "ok web1 2 $U1 $M2" "store web1 $U1 1 $M2"
	answers "ok web1 2 $U1 $M2" "load web1"
	shows 2 list --defined
	expect_match "$OUT" "^DOMAIN +VERSION +STORED +BY +UUID *"$'\n'"web1 +2 +$WHEN +xen1 +$U1"$'\n'"web10 +1 +"
	shows 2 list -dj
	expect_eq "$(jq -c 'map(keys) | unique' <<<"$OUT")" '[["by","domain","stored","uuid","version"]]' keys
	expect_eq "$(jq -c 'map([.domain, .version, .by, .uuid])' <<<"$OUT")" \
		"[[\"web1\",2,\"xen1\",\"$U1\"],[\"web10\",1,\"xen1\",\"$U2\"]]"
	shows 2 show web1
	expect_match "$(head -n 1 <<<"$OUT")" "^# xlrbd: web1 version 2, stored $WHEN by xen1, UUID $U1, MAC $M2\$"
	expect_eq "$(tail -n +2 <<<"$OUT")" $'name = "web1"\nmemory = 128'
	shows 2 show -j web1
	expect_eq "$(jq -c keys <<<"$OUT")" '["by","config","domain","stored","text","uuid","version"]' keys
	expect_eq "$(jq -c '[.text, .config]' <<<"$OUT")" '["name = \"web1\"\nmemory = 128\n",{"c_info":{"name":"web1"}}]'
	# It runs nowhere for all that, and there is nothing to start it with.
	refuses 'web1: no host holds a disk for it' 2 where web1
	refuses 'this machine is no Xen host: .*' 2 create web1
	shows 2 undefine web1
	expect_eq "$OUT" ""
	refuses 'no domain "web1" is defined in rbd; see .xlrbd list --defined.' 1 undefine web1
	refuses 'no domain "web1" is defined in rbd; see .*' 1 show web1
	answers "ok web10 .*" "remove web10"
	expect_eq "$(rados -p rbd listomapkeys xlrbd_domains)" "" "what is left"
	shows 1 list --defined
	expect_eq "$OUT" ""
}

what_is_unique() {
	answers "ok web1 1 $U1 $M1" "store web1 $U1 0 $M1"
	answers "EEXIST web1: defined already, version 1; .*" "store web1 $U1 0 $M1"
	answers "EEXIST web2: uuid:$U1 is domain web1's; .*" "store web2 $U1 0 $M2"
	answers "EEXIST web2: mac:$M1 is domain web1's; .*" "store web2 $U2 0 $M2 $M1"
	# All or nothing: not even the MAC that was free.
	expect_eq "$(rados -p rbd listomapkeys xlrbd_domains | xargs)" "domain:web1 mac:$M1 uuid:$U1"
	answers "ok web2 1 .*" "store web2 $U2 0 $M2"
	answers "EEXIST web2: mac:$M1 is domain web1's; .*" "store web2 $U2 1 $M1"
	# What is given up is free, by a change or for ever.
	answers "ok web1 2 $U1 " "store web1 $U1 1"
	answers "ok web2 2 $U2 $M1" "store web2 $U2 1 $M1"
	answers "ok web1 3 $U1 $M2" "store web1 $U1 2 $M2"
	answers "ok web2 .*" "remove web2"
	answers "ok web3 1 $U2 $M1" "store web3 $U2 0 $M1"
	answers "ESTALE web1: yours is made from version 1, but xen1 has stored version 3 at $WHEN; .*" "store web1 $U1 1"
	answers "ESTALE web2: not defined any more; .*" "store web2 $U2 2 $M1"
	expect_eq "$(rados -p rbd listomapkeys xlrbd_domains | xargs)" \
		"domain:web1 domain:web3 mac:$M1 mac:$M2 uuid:$U1 uuid:$U2"
}

# A namespace is a world of its own.
namespaces() {
	rbd namespace create rbd/team
	answers "ok web1 1 .*" "store web1 $U1 0 $M1"
	answers "ok web1 1 .*" "store web1 $U1 0 $M1" rbd/team
	answers "ok web2 1 .*" "store web2 $U2 0" rbd/team
	shows 2 list -dj
	expect_eq "$(jq -r '.[].domain' <<<"$OUT" | xargs)" "web1"
	shows 2 list -dj --pool rbd/team
	expect_eq "$(jq -r '.[].domain' <<<"$OUT" | xargs)" "web1 web2"
	shows 2 undefine -p rbd/team web1
	shows 2 show web1
	refuses 'no domain "web1" is defined in rbd/team; see .*' 2 show -p rbd/team web1
	refuses 'no pool "nowhere" in cluster .*' 2 list -d -p nowhere
	rbd namespace rm rbd/team
}

later_version() {
	answers "ok web1 1 .*" "store web1 $U1 0"
	rados -p rbd setomapval xlrbd_domains domain:web2 '{"format":2,"name":"web2"}'
	refuses 'definition of web2: not understood; made by a later version of xlrbd\?' 1 show web2
	refuses 'definition of web2: not understood; .*' 1 undefine web2
	answers 'EPROTO definition of web2: not understood; .*' "store web2 $U2 0"
	shows 1 show web1
	xlrbd 1 list --defined
	expect_eq "$RC" 1
	expect_match "$ERR" 'web2: not understood'
	expect_eq "$(rados -p rbd getomapval xlrbd_domains domain:web2 /dev/stdout)" '{"format":2,"name":"web2"}'
}

# edit_at_once COMMAND...: each is one editor's, on both hosts by turns.
edit_at_once() {
	local i=0 command pids=()

	# Everybody is waiting to look when the cluster goes on, and so looks before anybody changes anything.
	rm -f "$WORLD"/answer?
	cluster pause osd
	for command; do
		i=$((i + 1))
		definitions $((i % 2 + 1)) rbd <<<"$command" >"$WORLD/answer$i" &
		pids+=($!)
	done
	eventually 30 all_are_waiting $#
	cluster resume osd
	wait "${pids[@]}"
}

all_are_waiting() { # all_are_waiting N: connected to the OSD
	local n

	n=$(for i in 1 2; do
		host $i ss -Htn state established "( dport >= :6800 and dport <= :7300 )"
	done | wc -l)
	((n >= $1))
}

one_editor_wins() {
	local round version=1 met=0 winner

	answers "ok web1 1 .*" "store web1 $U1 0 $M1"
	for round in {1..10}; do
		edit_at_once "store web1 $U1 $version 00:16:3e:00:01:01" "store web1 $U1 $version 00:16:3e:00:01:02" \
			"store web1 $U1 $version 00:16:3e:00:01:03" "store web1 $U1 $version 00:16:3e:00:01:04"
		cat "$WORLD"/answer? >&2
		expect_eq "$(cat "$WORLD"/answer? | grep -c '^ok web1')" 1 "winners of round $round"
		expect_eq "$(cat "$WORLD"/answer? | grep -c '^ESTALE ')" 3 "losers of round $round"
		met=$((met + $(cat "$WORLD"/answer? | grep -c 'changed by somebody else this moment' || :)))
		winner=$(sed -n 's/^ok web1 .* //p' "$WORLD"/answer?)
		expect_eq "$(rados -p rbd listomapkeys xlrbd_domains | xargs)" "domain:web1 mac:$winner uuid:$U1"
		version=$((version + 1))
		answers "ok web1 $version $U1 $winner" "load web1"
	done
	echo "note: $met of 30 losers lost between their look and their change"
	((met > 0)) || fail "they never met"
}

one_owner_wins() {
	local round owner owners

	for round in {1..5}; do
		edit_at_once "store a $U1 0 $M1" "store b $U2 0 $M1" "store c $U1 0 $M2" "store d $U1 0 $M1"
		cat "$WORLD"/answer? >&2
		# b and c go together, any other pair does not.
		mapfile -t owners < <(sed -n 's/^ok \(.\) .*/\1/p' "$WORLD"/answer? | sort)
		expect_match "${owners[*]}" '^(a|b|c|d|b c)$' "winners of round $round"
		expect_eq "$(cat "$WORLD"/answer? | grep -v -e '^ok ' -e "^EEXIST .* is domain .'s;")" "" "other answers"
		for owner in "${owners[@]}"; do
			shows 1 undefine "$owner"
		done
		expect_eq "$(rados -p rbd listomapkeys xlrbd_domains)" "" "what is left"
	done
}

# Who removes and who changes at the same time.
remove_and_change() {
	local round

	for round in {1..5}; do
		answers "ok web1 1 .*" "store web1 $U1 0 $M1"
		edit_at_once "remove web1" "store web1 $U1 1 $M2"
		cat "$WORLD"/answer? >&2
		case $(cut -d ' ' -f 1 "$WORLD"/answer[12] | xargs) in
		"ok ok" | "ok ESTALE") answers 'ENOENT .*' "load web1" ;;
		"ESTALE ok") answers "ok web1 2 $U1 $M2" "load web1" ;;
		*) fail "nobody won" ;;
		esac
		definitions 1 rbd <<<"remove web1" >/dev/null
		expect_eq "$(rados -p rbd listomapkeys xlrbd_domains)" "" "what is left"
	done
}

# One connection for all: a process each takes longer than anything that is measured here.
make_images() { # make_images N
	/usr/bin/python3 - "$1" <<-'PYTHON'
	import sys, rados, rbd
	cluster = rados.Rados(name="client.admin", conffile="/etc/ceph/ceph.conf")
	cluster.connect()
	io = cluster.open_ioctx("rbd")
	for i in range(int(sys.argv[1])):
	    rbd.RBD().create(io, f"image{i + 1}", 10 << 20)
	PYTHON
}

requests_ms() { # requests_ms N: how long so many take, one after the other
	/usr/bin/python3 - "$1" <<-'PYTHON'
	import sys, time, rados
	cluster = rados.Rados(name="client.admin", conffile="/etc/ceph/ceph.conf")
	cluster.connect()
	io = cluster.open_ioctx("rbd")
	start = time.monotonic()
	for i in range(int(sys.argv[1])):
	    io.stat("rbd_directory")
	print(int((time.monotonic() - start) * 1000))
	PYTHON
}

best_of_3() { # best_of_3 HOST ARGUMENT...: sets MS
	local i best=1000000

	for i in 1 2 3; do
		shows "$@"
		((MS >= best)) || best=$MS
	done
	MS=$best
	((MS < 10000)) || fail "took $MS ms"
}

# A busy cluster: 200 images, 20 of them held by two hosts, and 50 definitions.
many_images() {
	local i start ls=1000000 command figures=()

	make_images 200
	for i in {1..20}; do
		vbd_new $((i % 2 + 1)) "$i" $DISK w "rbd:image$i" "web$i"
		rbd_add $((i % 2 + 1)) "$i" $DISK
		echo "store web$i $(default_uuid 3 "$i") 0"
	done >"$WORLD/commands"
	for i in {21..50}; do
		echo "store web$i $(default_uuid 3 "$i") 0 $(printf '00:16:3e:00:02:%02x' "$i")"
	done >>"$WORLD/commands"
	expect_eq "$(definitions 1 rbd <"$WORLD/commands" | grep -c '^ok')" 50 "definitions stored"

	# A second monitor that is switched off: nobody even says that it is not there.
	sed 's/^mon_host = .*/&,[v2:10.78.0.99:3300\/0,v1:10.78.0.99:6789\/0]/' "$WORLD/ceph/ceph.conf" |
		host 1 tee /etc/ceph/two.conf >/dev/null
	for i in 1 2 3; do
		start=${EPOCHREALTIME/./}
		host 1 rbd --id xen ls >/dev/null
		i=$(((${EPOCHREALTIME/./} - start) / 1000))
		((i >= ls)) || ls=$i
	done
	echo "note: rbd ls: $ls ms"
	for command in "list --cluster" "where web7" "locks" "locks image7" "list --defined" "show web7"; do
		# shellcheck disable=SC2086 # words
		best_of_3 1 $command
		figures=("$MS")
		# shellcheck disable=SC2086 # words
		best_of_3 1 $command --conf /etc/ceph/two.conf
		echo "note: $command: ${figures[0]} ms, with one of two monitors dead: $MS ms"
	done
	shows 1 list --cluster -j
	expect_eq "$(jq length <<<"$OUT")" 20
	shows 2 list -j
	expect_eq "$(jq length <<<"$OUT")" 10
	shows 1 list --defined -j
	expect_eq "$(jq length <<<"$OUT")" 50
	shows 2 where -j web7
	expect_eq "$(domain_rows)" "web7 xen2 running 1"

	readers_that_leave
	figures=()
	slow_osd 1
	# Two requests for each image, and more for those that are held.
	best_of_3 1 locks
	i=$(requests_ms 400)
	slow_osd 0
	echo "note: locks, each request delayed: $MS ms; 400 requests one after the other: $i ms"
	((MS < i)) || fail "as slow as one image after the other: $MS ms"
	for i in {1..20}; do
		vbd_gone $((i % 2 + 1)) "$i" $DISK
	done
	nothing_left
}

# As a network and disks would be: here a request is answered before a thread could wait for it.
slow_osd() { # slow_osd 1|0
	ceph config set osd osd_debug_inject_dispatch_delay_duration 0.003
	ceph config set osd osd_debug_inject_dispatch_delay_probability "$1"
}

# Whoever has seen enough: that is no error.
readers_that_leave() {
	local i

	tool_words 1
	for i in "locks" "locks -j" "list -cj" "list --defined"; do
		# shellcheck disable=SC2086 # words
		expect_eq "$( ("${TOOL[@]}" $i | head -n 1 | wc -l) 2>&1)" 1 "$i | head"
		# One that has gone before the first byte.
		# shellcheck disable=SC2086 # words
		expect_eq "$( ("${TOOL[@]}" $i | :) 2>&1)" "" "$i | :"
		# shellcheck disable=SC2016 # for eval
		expect_fail eval '"${TOOL[@]}" $i >/dev/full'
		expect_eq "$OUTPUT" "xlrbd: write to stdout: No space left on device" "$i"
	done
}

world_start 2
t "store, list, show, change, remove" a_life
t "UUIDs and MACs are unique" what_is_unique
t "namespaces" namespaces
t "a definition of a later version" later_version
t "one of several editors wins" one_editor_wins
t "one of several owners of a UUID or a MAC wins" one_owner_wins
t "a change and a removal at the same time" remove_and_change
t "200 images, 50 definitions" many_images
summary
