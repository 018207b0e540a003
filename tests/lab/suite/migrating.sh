# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# What the migration suites share: web1, a guest that counts, the question whether anything it was told of is lost, and
# a migration in the background, held where a test wants to have it.
#
# PVH guests, as Debian 12's Xen cannot log the dirty pages of PV ones.
. "$(dirname "${BASH_SOURCE[0]}")/functions.sh"

# The less there is to copy, the shorter a trip.  One disk gets along with it.
export XLRBD_LAB_GUEST_MEMORY=96

# Who creates and migrates: xl or xlrbd.
TOOL=xl

# A line for each number, with its checksum, synced before the next: then the console says so.  It ends when it cannot
# write, as after xl shutdown, which makes the disk read-only under it.
# shellcheck disable=SC2016 # for the guest's shell
COUNTER='n=0; while n=$((n+1)) && echo "$n $(echo $n | md5sum | cut -c1-8)" >>/data/counter && sync && echo tick $n; do
	usleep 300000; done'

# start HOST: web1, with the configuration that both hosts have, as where it is to be started here or there.
start() {
	local host uuid

	uuid=$(</proc/sys/kernel/random/uuid)
	for host in 1 2; do
		"$LAB" domcfg -t pvh web1 "$(disk rbd:root)" -- "uuid = \"$uuid\"" |
			x $host "cat >/root/web1.cfg && rm -f /var/log/xen/console/guest-web1*.log"
	done
	x "$1" "$TOOL create /root/web1.cfg"
	"$LAB" guestwait "xen$1" web1 "lab: guest up" $PATIENCE
	"$LAB" type "xen$1" -n web1 "$COUNTER"
	eventually $PATIENCE ticks_beyond "$1" 3
}

# A test goes on with the guest that the one before has left, and where it has left it: FROM.
find_guest() {
	FROM=2 TO=1
	! domain_gone 2 web1 || FROM=1 TO=2
	domain_gone $FROM web1 || return 0
	root_image root
	start $FROM
}

ticks() { # ticks HOST: how far it has come, as it says there
	"$LAB" guestlog "xen$1" web1 | sed -n 's/^tick \([0-9]*\)$/\1/p' | tail -n 1
}

ticks_beyond() { # ticks_beyond HOST NUMBER
	local now
	now=$(ticks "$1")
	((${now:-0} > $2))
}

goes_on() { # goes_on HOST: it runs there, and its writes come back
	local told
	told=$("$LAB" guestlog "xen$1" web1 | grep -c '^tick ' || :)
	"$LAB" guestwait "xen$1" web1 "tick " $PATIENCE $((told + 1))
}

holders() {
	lockers root | cut -d, -f2,4 | sort | xargs
}

gc() { # gc HOST: how much it cleans up
	x "$1" "block-rbd gc" | sed -n 's/^rbd: \([0-9]*\) cleaned up$/\1/p'
}

# verify FILE TOLD: a clean file system with every number once, in order, with its checksum, and at least as far as the
# console was told.
verify() {
	e2fsck -fn "$1" >/dev/null 2>&1 || fail "the file system is not clean"
	debugfs -R "cat /data/counter" "$1" 2>/dev/null | python3 -c '
import hashlib, sys
lines = sys.stdin.read().splitlines()
for n, line in enumerate(lines, 1):
	if line != "%d %s" % (n, hashlib.md5(b"%d\n" % n).hexdigest()[:8]):
		sys.exit("line %d says %r" % (n, line))
if len(lines) < int(sys.argv[1]):
	sys.exit("the guest was told of %s numbers, its disk has %d" % (sys.argv[1], len(lines)))
print("note: the guest was told of %s numbers, its disk has %d" % (sys.argv[1], len(lines)))' "$2"
}

# With the guest running: at one moment, and with the journal replayed as after a crash.
verify_running() { # verify_running HOST
	verify_crashed "$(ticks "$1")"
}

verify_crashed() { # verify_crashed TOLD
	local image

	image=$(mktemp)
	rbd snap create --no-progress rbd/root@now
	rbd export --no-progress rbd/root@now - >"$image"
	rbd snap rm --no-progress rbd/root@now
	e2fsck -p "$image" >/dev/null || (($? == 1)) || fail "the file system cannot be repaired by its journal"
	verify "$image" "$1"
	rm -f "$image"
}

# Off from outside, as it counts without end.  xl's monitor leaves when a domain is suspended and does not come back
# when it is resumed: after a failed migration nobody reaps it but us.
off() { # off HOST
	case $TOOL in
	xl) x "$1" "xl shutdown -w web1 >/dev/null; xl destroy web1 2>/dev/null" || : ;;
	xlrbd) x "$1" "xlrbd shutdown --wait web1" ;;
	esac
	wait_gone "$1" web1
}

finish() { # finish HOST
	local image

	off "$1"
	image=$(mktemp)
	rbd export --no-progress rbd/root - >"$image"
	verify "$image" "$(ticks "$1")"
	rm -f "$image"
	nothing_left root
	drop_image root
}

# How a test ends: web1 runs on that host, there is no trace of it on the other, and nothing is lost.
settled() { # settled HOST
	goes_on "$1"
	expect_eq "$(holders)" "held,xen$1" "holders at the end"
	expect_eq "$(left $((3 - $1)))" "" "left on xen$((3 - $1))"
	verify_running "$1"
}

# migrate WHERE: in the background.  What is said on both sides comes into $SAID while it goes.
migrate() {
	rm -f "${SAID:-}"
	SAID=$(mktemp)
	trap '(($? == 0)) || let_go; rm -f "$SAID"' EXIT
	timeout $((3 * PATIENCE)) "$LAB" run "xen$FROM" "$TOOL migrate web1 $1" >"$SAID" 2>&1 &
	MIGRATION=$!
}

# Undoes what xlrbd-killed.sh does to hold the helper.
HELPER_BACK='rm -f /run/hold; cd /etc/xen/scripts; [ ! -e block-rbd.away ] || mv block-rbd.away block-rbd'

# A test that failed half-way: what it has stopped or switched off must not be in the way of cleaning up.
let_go() {
	local host

	[[ ! -e ${SAID:-} ]] || sed "s/^/    $TOOL: /" "$SAID"
	for host in "${HOSTS[@]}"; do
		"$LAB" thaw "xen$host" 2>/dev/null || :
		host_on "$host"
		x "$host" "$HELPER_BACK; pkill -CONT -x block-rbd; pkill -KILL -x xl; pkill -KILL -x libxl-save-help
			pkill -KILL -f '^[^ ]*(xlrb[d]|/ex[e]) (create|migrate|receive|evacuate)'" || :
	done
}

host_on() {
	x "$1" true 2>/dev/null || "$LAB" power-on "xen$1"
}

says() {
	grep -qF "$1" "$SAID"
}

migrated() {
	wait "$MIGRATION" || fail "$TOOL migrate: exit code $?"
}

failed() { # failed [TEXT]: it has failed, and said so
	local rc=0

	wait "$MIGRATION" || rc=$?
	((rc != 0 && rc != 124)) || fail "$TOOL migrate: exit code $rc"
	[[ -z ${1:-} ]] || says "$1" || fail "$TOOL does not say: $1"
}

# xl says it; else one sees those who send and receive pages.
copying() {
	case $TOOL in
	xl) says "Restoring domain" ;;
	xlrbd) x "$FROM" "pgrep -x libxl-save-help" && x "$TO" "pgrep -x libxl-save-help && xl domid web1--incoming" ;;
	esac >/dev/null 2>&1
}

# Holds it while memory is copied: the guest runs on, and what is to send its pages does not.
hold_copy() {
	eventually $PATIENCE copying
	x "$FROM" "pkill -STOP -x libxl-save-help"
	goes_on "$FROM"
}

no_sender() {
	! x "$FROM" "pgrep -x libxl-save-help"
}

release_copy() {
	x "$FROM" "pkill -CONT -x libxl-save-help"
}

# hold_helper HOST: as soon as it is at work there.  Asking costs the host more time than it costs us.
hold_helper() {
	# shellcheck disable=SC2016 # for the host's shell
	x "$1" 'n=0; until pkill -STOP -x block-rbd; do n=$((n + 1)); [ $n -lt 200 ] || exit 1; sleep 0.1; done' ||
		fail "block-rbd was not seen on xen$1"
}

# Holds it when the guest is suspended, before the destination has its disk.
hold_add() {
	# It will not be there for long.
	TAP_REST=0.1 eventually $PATIENCE says "Restore successful"
	hold_helper "$TO"
	expect_eq "$(holders)" "held,xen$FROM" "holders while add is held"
}

release_add() {
	x "$TO" "pkill -CONT -x block-rbd"
}

both_hold() {
	[[ $(holders) == "held,xen1 held,xen2" ]]
}

connected() { # add has run on the destination, up to its last step
	x "$TO" "xenstore-ls -f /local/domain/0/backend/vbd | grep -q 'hotplug-status = \"connected\"'"
}

# signal HOST SIGNAL receive|migrate|ssh: one of a migration's processes.  An xl that watches a domain it has brought
# here looks the same, but is nobody's child any more, of sshd or its shell.  The brackets keep the shell that is asked
# from being found.
signal() {
	case $TOOL-$3 in
	xl-receive) x "$1" "pkill -$2 -f -P \$(pgrep -d, -x 'sshd|dash') 'bin/x[l] migrate-receive'" ;;
	xl-migrate) x "$1" "pkill -$2 -f -P \$(pgrep -d, -x 'sshd|dash') 'bin/x[l] migrate web1'" ;;
	xl-ssh) x "$1" "pkill -$2 -f '^ss[h] xen. xl migrate'" ;;
	xlrbd-receive) x "$1" "pkill -$2 -o -f '^[^ ]*xlrb[d] receive'" ;;
	xlrbd-migrate) x "$1" "pkill -$2 -o -f '^[^ ]*xlrb[d] migrate'" ;;
	xlrbd-ssh) x "$1" "pkill -$2 -f '^ss[h] .*xlrbd.* receive'" ;;
	esac || fail "no such process on xen$1: $3"
}
