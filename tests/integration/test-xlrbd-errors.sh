#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# xlrbd: wrong usage, and a cluster, a user, a terminal or a hypervisor that is not as it should be.
set -euo pipefail

# shellcheck source=tests/integration/functions.sh
source "$(dirname "$0")/functions.sh"
# shellcheck source=tests/integration/xlrbd.sh
source "$(dirname "$0")/xlrbd.sh"

DISK=51712

# Wrong usage is 2, and says on stderr how it goes.
arguments() {
	local command words width

	for words in list:x check:x where where:a:b create create:a:b boot shutdown shutdown:a:b reboot destroy pause unpause \
		define define:a:b undefine show show:a:b unlock unlock:a unlock:a:b:c takeover monitor \
		migrate migrate:a migrate:a:b:c receive:a arrived arrived:a arrived:a:b migrate:a:b:--timeout:0 migrate:a:b:--jobs:2 \
		evacuate:--jobs:0 evacuate:--jobs evacuate:--cold evacuate:--jobs:65 \
		list:--nonsense where:a:--yes locks:--cluster takeover:a:--force gc:-x list:--id \
		shutdown:a:--timeout:x shutdown:a:--timeout:0 list:--cluster=yes; do
		IFS=: read -ra words <<<"$words"
		xlrbd 1 "${words[@]}"
		expect_eq "$RC $OUT" "2 " "${words[*]}"
		expect_match "$ERR" "(^|"$'\n'")usage: xlrbd ${words[0]} "
	done
	for words in "" nonsense --nonsense list-all; do
		# shellcheck disable=SC2086 # a word or none
		xlrbd 1 $words
		expect_eq "$RC $OUT" "2 " "$words"
		expect_match "$ERR" "(^|"$'\n'")usage: xlrbd COMMAND "
	done
	shows 1 --version
	expect_match "$OUT" '^xlrbd [0-9.]+$'
	shows 1 --help
	(($(wc -l <<<"$OUT") <= 24)) || fail "more than 24 lines: $OUT"
	for command in "" $(sed -n 's/^  \([a-z]\+\) .*/\1/p' <<<"$OUT"); do
		# shellcheck disable=SC2086 # a word or none
		shows 1 $command --help
		expect_match "$OUT" "^usage: xlrbd ${command:-COMMAND} "
		(($(wc -l <<<"$OUT") <= 24)) || fail "more than 24 lines: $OUT"
		width=$(wc -L <<<"$OUT")
		((width <= 80)) || fail "$width columns: $OUT"
	done
}

# at_once FUNCTION COMMANDS: each with its words, and all at the same time, as each takes its time.
at_once() {
	local function=$1 words pids=() pid rc=0

	shift
	for words; do
		"$function" "$words" &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		wait "$pid" || rc=1
	done
	return "$rc"
}

in_time() { # in_time SENTENCE WORDS
	local words

	read -ra words <<<"$2"
	xlrbd 1 "${words[@]}"
	expect_eq "$RC" 1 "exit code of $2"
	expect_match "$ERR" "(^|"$'\n'")xlrbd: $1"
	((MS <= AT_MOST)) || fail "$2 took $MS ms"
	echo "$MS" >>"$WORLD/times"
}

without_monitors() {
	in_time 'no monitor of /etc/ceph/ceph.conf \(.*10.78.0.1:6789.*\) answered in time; check the network .*' "$1"
}

without_osds() {
	in_time '.*: the OSDs did not answer in time; see .ceph health detail.($|'$'\n'')' "$1"
}

cluster_is_silent() { # cluster_is_silent mon|osd FUNCTION
	create image
	host 1 tee /etc/xen/xlrbd.conf <<<"timeout = $TIMEOUT" >/dev/null
	cluster pause "$1"
	rm -f "$WORLD/times"
	at_once "$2" 'list --cluster' 'where web1' 'locks' 'locks rbd/image' 'unlock image client.1' 'takeover --yes web1' gc \
		'list --defined' 'show web1' 'undefine web1'
	cluster resume "$1"
	host 1 rm /etc/xen/xlrbd.conf
	echo "note: the slowest of them: $(sort -n "$WORLD/times" | tail -n 1) ms of $((TIMEOUT * 1000))"
}

users() {
	local command

	create image
	user small 'profile rbd' 'allow r pool=none'
	for command in 'list --cluster' locks 'where web1' 'list --defined' 'unlock image client.1' 'show web1'; do
		# shellcheck disable=SC2086 # words
		refuses 'no usable key for client\.nobody in /etc/ceph/ceph\.client\.nobody\.keyring; .*' 1 $command --id nobody
		# shellcheck disable=SC2086 # words
		refuses 'ceph configuration /nowhere: No such file or directory; .*' 1 $command --conf /nowhere
		# shellcheck disable=SC2086 # words
		refuses 'ceph configuration /etc/ceph/other.conf: No such .*' 1 $command --ceph-cluster other
		# shellcheck disable=SC2086 # words
		xlrbd 1 $command --id small
		expect_eq "$RC $OUT" "1 "
		expect_match "$ERR" 'xlrbd: .*: the caps of client\.small are too small; it needs .*'
	done
	host 1 ceph-authtool --create-keyring --gen-key -n client.wrong /etc/ceph/ceph.client.wrong.keyring
	refuses 'the monitors refuse client\.wrong: unknown cephx id or wrong key .*' 1 list --id wrong
	# xlrbd.conf counts here too, but less than what is said.
	host 1 tee /etc/xen/xlrbd.conf <<<"id = nobody" >/dev/null
	refuses 'no usable key for client\.nobody .*' 1 locks
	refuses 'no usable key for client\.nobody .*' 1 locks image
	shows 1 locks image --id xen
	host 1 tee /etc/xen/xlrbd.conf <<<"nonsense" >/dev/null
	refuses '/etc/xen/xlrbd\.conf:1: .*' 1 locks
	host 1 rm /etc/xen/xlrbd.conf
}

no_xen() {
	local command

	for command in shutdown reboot destroy pause unpause 'shutdown --wait'; do
		# shellcheck disable=SC2086 # words
		refuses '1: runs nowhere' 1 $command 1
	done
	refuses '1: runs nowhere' 1 migrate 1 host2
	refuses 'this machine is no Xen host: run this on one' 1 evacuate host2
	refuses 'this machine is no Xen host: run this on one' 1 arrived web1 99999999-0000-4000-8000-000000000000 0
	refuses 'this machine is no Xen host: run this on one' 1 monitor 1
	refuses 'no domain "web1" is defined in rbd; see .*' 1 create web1
	refuses './nothing: No such file or directory' 1 create ./nothing
	xlrbd 1 define /etc/hostname
	expect_eq "$RC $OUT" "1 "
	expect_match "$ERR" 'xlrbd: xl does not take it .*; only a Xen host can tell'
}

# A host without Xen, but with a kernel and a cluster that are as they should be.
checks() {
	local ours

	xlrbd 1 check --json
	expect_eq "$RC" 1
	expect_eq "$(jq -c 'map(keys - ["detail"]) | unique' <<<"$OUT")" '[["check","result"]]'
	ours=$(jq -c '[.[] | select(.check | test("^(kernel|cluster|time|monitors|keyring|space|images|caps)")) | .result] | unique' <<<"$OUT")
	expect_eq "$ours" '["ok"]' "what is there"
	expect_eq "$(jq -r '.[] | select(.check == "Xen") | .result' <<<"$OUT")" trouble
	# It leaves nothing, in the pool or among the fences.
	expect_eq "$(rados -p rbd ls | grep -i check || :)" ""
	eventually 90 no_fences
	user reader 'profile rbd' 'allow r pool=rbd'
	host 1 chmod 0644 /etc/ceph/ceph.client.xen.keyring
	xlrbd 1 check
	expect_match "$OUT" $'\n''keyring +trouble +/etc/ceph/ceph.client.xen.keyring is open to everybody on this host; '
	host 1 chmod 0600 /etc/ceph/ceph.client.xen.keyring
	xlrbd 1 check --id reader
	expect_match "$OUT" $'\n''caps: locks; clock +trouble +.*: the caps of client.reader are too small'
	xlrbd 1 check --id nobody
	expect_match "$OUT" $'\n''cluster +trouble +no usable key for client.nobody '
	check_monitors
	check_images
	nothing_left
}

# Let through is what librados uses, not what the kernel does; and then none of them answers for a while.
check_monitors() {
	host 1 ip rule add pref 1 ipproto tcp dport 6789 blackhole
	xlrbd 1 check
	expect_match "$OUT" $'\n''cluster +ok '
	expect_match "$OUT" $'\n''monitors +trouble +10.78.0.1:6789, where the kernel will look for all of them, takes no connection; '
	host 1 ip rule del pref 1
	host 1 tee /etc/xen/xlrbd.conf <<<"timeout = 10" >/dev/null
	cluster pause mon
	{ sleep 5; cluster resume mon; } &
	xlrbd 1 check
	wait
	expect_match "$OUT" $'\n''time for a disk +trouble +connecting alone took [0-9]+ ms, and a disk has 10 s '
	host 1 rm /etc/xen/xlrbd.conf
}

# One that migrates safely with xlrbd only, and one that no kernel maps.
check_images() {
	rbd create --size 8M --image-feature layering rbd/plain
	xlrbd 1 check
	expect_match "$OUT" $'\n''images +ok +[0-9]+ in rbd, 1 of them without exclusive-lock, such as rbd/plain: '
	rbd create --size 8M --image-feature exclusive-lock,journaling rbd/journal
	xlrbd 1 check
	expect_match "$OUT" $'\n''images +trouble +map rbd/journal: this kernel does not know .*: journaling; '
	rbd rm --no-progress rbd/plain
	rbd rm --no-progress rbd/journal
}

no_fences() {
	[[ -z $(ceph osd blocklist ls 2>/dev/null) ]]
}

# An ssh that goes to host 2, wherever it is told to; or nowhere, if it is told to go to "nowhere".
fake_ssh() {
	mkdir -p "$WORLD/bin"
	cat >"$WORLD/bin/ssh" <<-SSH
	#!/bin/bash
	echo "\${@: -2:1}" >$WORLD/bin/address
	[[ \${@: -2:1} != nowhere ]] || exit 255
	# It takes whatever it gets, as ssh does.
	timeout 1 cat >/dev/null
	exec nsenter -t $(host_pid 2) -m -n -u -- /bin/sh -c "\${@: -1}"
	SSH
	chmod +x "$WORLD/bin/ssh"
	tool_words 2
	ln -sf "${TOOL[-1]}" "$WORLD/bin/xlrbd"
	PATH=$WORLD/bin:$PATH
}

# What it says there arrives here, with its exit code, and what it was told arrives there.
other_host() {
	local name

	create image
	fake_ssh
	for name in web1 "it's \$(a) \"one\" *"; do
		attach 2 1 $DISK w rbd:image "$name"
		refuses ".*: is gone from this host, but its disks are not released; .*" 1 shutdown "$name"
		expect_eq "${ERR:0:$((7 + ${#name}))}" "xlrbd: $name"
		expect_eq "$(<"$WORLD/bin/address")" xen2
		vbd_gone 2 1 $DISK
	done
	attach 2 1 $DISK w rbd:image web1
	tool_words 1
	expect_eq "$(printf '%s\n' web2 web3 | { "${TOOL[@]}" shutdown web1 >/dev/null 2>&1 || :; cat; } | xargs)" "web2 web3" \
		"what is left of a list on stdin"
	refuses "web1: runs on xen2, not here" 1 shutdown --here web1
	host 1 tee /etc/xen/xlrbd.conf <<<$'[hosts]\nxen1 = nowhere\nxen2 = 10.78.0.12' >/dev/null
	refuses "web1: is gone from this host, .*" 1 shutdown --wait -t 5 web1
	expect_eq "$(<"$WORLD/bin/address")" 10.78.0.12
	host 1 tee /etc/xen/xlrbd.conf <<<$'[hosts]\nxen2 = nowhere' >/dev/null
	refuses 'xen2 did not do it: ssh to nowhere failed; see \[hosts\] in xlrbd.conf\(5\)' 1 pause web1
	host 1 tee /etc/xen/xlrbd.conf <<<$'[hosts]\nxen2 = -oProxyCommand=x' >/dev/null
	refuses "/etc/xen/xlrbd.conf:2: a host's address: .*" 1 destroy web1
	host 1 rm /etc/xen/xlrbd.conf
	# No host that may have it is alive.
	host_crash 2
	eventually 60 status_is 1 web1 silent
	refuses 'web1: was running on xen2 \(silent\); if that host is dead: .*' 1 shutdown web1
	host_start 2
	eventually 60 gc_cleans 2
	attach 2 1 $DISK w rbd:image web1
	vbd_gone 2 1 $DISK
	nothing_left
}

gc_cleans() { # gc_cleans HOST
	xlrbd "$1" gc
	! lockers image | grep -q xlrbd1
}

# Names that are not ASCII, and output that does not arrive.
output() {
	local i

	create image
	attach 1 1 $DISK r rbd:image wéb
	attach 2 1 $DISK r rbd:image $'w\e[2Jeb'
	for i in C C.UTF-8 de_DE.UTF-8; do
		tool_words 1
		TOOL=(env LC_ALL="$i" "${TOOL[@]}")
		expect_match "$("${TOOL[@]}" list --cluster)" "w(é|.xc3.xa9)b +xen1 +held"
		expect_no_match "$("${TOOL[@]}" locks)" $'\e'
		expect_eq "$("${TOOL[@]}" where -j wéb | jq -r '.[].domain')" wéb
	done
	tool_words 1
	for i in "list --cluster" locks "locks -j" "list -j" --help "list --help" --version gc; do
		# shellcheck disable=SC2016 # for eval
		expect_fail eval '"${TOOL[@]}" $i >/dev/full'
		expect_eq "$OUTPUT" "xlrbd: write to stdout: No space left on device" "$i"
	done
	vbd_gone 1 1 $DISK
	vbd_gone 2 1 $DISK
	nothing_left
}

world_start 2
# So that the dead are known to be dead sooner than after 30 s.
ceph config set osd osd_client_watch_timeout 8
t "arguments and help" arguments
t "the monitors are silent" cluster_is_silent mon without_monitors
t "the OSDs are silent" cluster_is_silent osd without_osds
t "users, keyrings, configuration" users
t "no Xen" no_xen
t "check" checks
t "a command for another host's domain" other_host
t "output: other locales, a full disk" output
summary
