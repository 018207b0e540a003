#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# xlrbd migrate whose parts die, at each of its phases, and xlrbd create: who runs the guest then, that the next command
# puts everything right, what it says, and that nothing is lost.  One guest goes through all of it.
. "$(dirname "$0")/migrating.sh"
# shellcheck source=tests/lab/suite/managing.sh
. "$(dirname "$0")/managing.sh"

TOOL=xlrbd

goes_on_here() {
	says "xlrbd: web1: not migrated: " && says "; it goes on here"
}

# next HOST COMMAND SENTENCE: what is typed next, which says that.
next() {
	local said

	said=$(x "$1" "$2 2>&1")
	echo "note: $2: ${said//$'\n'/; }"
	expect_match "$said" "$3" "what $2 says"
}

suspended() { # the copy on the source, whatever it is called
	x "$FROM" "xl list $DOMID" 2>/dev/null | grep -q ' ---ss- '
}

# at_rest HOST migrate|receive: that process waits for the other host, and nobody works for it.
at_rest() {
	# shellcheck disable=SC2016 # for the host's shell
	x "$1" 'for i in 1 2 3; do
			! pgrep -x libxl-save-help >/dev/null && ! pgrep -x block-rbd >/dev/null || exit 1
			[ "$(ps -o s= -p $(pgrep -o -f "^[^ ]*xlrb[d] '"$2"'"))" = S ] || exit 1
			sleep 0.1
		done'
}

renamed() {
	[[ $(x "$FROM" "xl domname $DOMID") == web1--migratedaway ]]
}

# Holds it when the guest is suspended and all of it is sent, while the destination attaches its disk.  For less than
# the 40 s that libxl gives to helpers.  That of a prepared disk is too quick to be caught: it is made to wait.
hold_restore() {
	DOMID=$(x "$FROM" "xl domid web1")
	# shellcheck disable=SC2016 # for the host's shell
	x "$TO" 'cd /etc/xen/scripts && mkdir -p /run/real && cp -L block-rbd /run/real/ && touch /run/hold &&
		mv block-rbd block-rbd.away &&
		printf "%s\n" "#!/bin/sh" "while [ -e /run/hold ]; do sleep 0.1; done" "exec /run/real/block-rbd \"\$@\"" >block-rbd &&
		chmod +x block-rbd'
	migrate "--timeout 300 xen$TO"
	eventually $PATIENCE renamed
	suspended || fail "it is not suspended on xen$FROM"
}

release_add() {
	x "$TO" "$HELPER_BACK"
}

phase() {
	x "$FROM" 'cat /run/xlrbd/migrating-*' | jq -r .phase
}

is_told() {
	[[ $(phase) == go ]]
}

# Holds it when GO was said and the destination has not heard it.
hold_go() {
	hold_restore
	signal "$FROM" STOP migrate
	release_add
	eventually $PATIENCE connected
	eventually $PATIENCE at_rest "$TO" receive
	signal "$TO" STOP receive
	signal "$FROM" CONT migrate
	eventually $PATIENCE is_told
	eventually $PATIENCE at_rest "$FROM" migrate
	expect_eq "$(holders)" "held,xen1 held,xen2" "holders when GO is said"
}

source_in_copy() {
	find_guest
	migrate "xen$TO"
	hold_copy
	expect_eq "$(phase)" copy "phase"
	expect_eq "$(holders)" "held,xen1 held,xen2" "holders during the copy"
	expect_eq "$(where "$TO" web1 | sort)" "$(printf 'xen%d %s\n' "$FROM" running "$TO" arriving | sort)" "where it is"
	expect_fail x "$FROM" "xlrbd migrate web1 xen$TO 2>&1"
	expect_match "$OUTPUT" "web1: is being migrated to xen$TO by process [0-9]+"
	signal "$FROM" KILL migrate
	release_copy
	failed
	wait_gone "$TO" web1--incoming
	eventually $PATIENCE no_sender
	goes_on "$FROM"
	next "$FROM" "xlrbd migrate web1 xen$TO" "web1: runs on xen$TO, as domain"
	at_home "$TO"
	expect_eq "$(monitors "$FROM")" "" "monitors on xen$FROM"
}

source_before_go() {
	find_guest
	hold_restore
	expect_eq "$(phase)" copy "phase"
	signal "$FROM" KILL migrate
	release_add
	failed
	wait_gone "$TO" web1--incoming
	# Nobody runs it, the source could, and only the source may.
	suspended || fail "it is not suspended on xen$FROM"
	expect_eq "$(holders)" "held,xen$FROM" "holders"
	expect_fail x "$TO" "xlrbd create /root/web1.cfg 2>&1"
	expect_match "$OUTPUT" "web1: runs on xen$FROM"
	next "$FROM" "xlrbd gc" "xlrbd: web1: its migration to xen$TO was interrupted; it goes on here"
	at_home "$FROM"
}

# The destination has got it.
source_after_go() {
	local begin

	find_guest
	hold_go
	signal "$FROM" KILL migrate
	# As long as nobody knows which of them runs, neither of them is touched.
	"$LAB" freeze "xen$TO"
	begin=$SECONDS
	expect_fail x "$FROM" "xlrbd migrate web1 xen$TO 2>&1"
	echo "note: $OUTPUT ($((SECONDS - begin)) s)"
	((SECONDS - begin <= 30)) || fail "refused after $((SECONDS - begin)) s"
	expect_match "$OUTPUT" "xen$TO"
	suspended || fail "it is not suspended on xen$FROM"
	"$LAB" thaw "xen$TO"
	signal "$TO" CONT receive
	failed
	goes_on "$TO"
	next "$FROM" "xlrbd gc" "xlrbd: web1: has arrived on xen$TO; its old copy here is gone"
	at_home "$TO"
	expect_eq "$(monitors "$FROM")" "" "monitors on xen$FROM"
}

receive_in_copy() {
	find_guest
	migrate "xen$TO"
	hold_copy
	signal "$TO" KILL receive
	release_copy
	failed
	goes_on_here
	goes_on "$FROM"
	next "$TO" "xlrbd gc" "xlrbd: web1--incoming: its migration to this host was interrupted; destroying it"
	at_home "$FROM"
}

receive_before_go() {
	find_guest
	hold_restore
	signal "$TO" KILL receive
	failed
	release_add
	goes_on_here
	goes_on "$FROM"
	next "$FROM" "xlrbd migrate web1 xen$TO" "web1: runs on xen$TO, as domain"
	at_home "$TO"
}

# The source asks what has become of it.
receive_after_go() {
	find_guest
	hold_go
	signal "$TO" KILL receive
	failed
	goes_on_here
	at_home "$FROM"
}

both_after_go() {
	find_guest
	hold_go
	signal "$FROM" KILL migrate
	signal "$TO" KILL receive
	failed
	next "$FROM" "xlrbd migrate web1 xen$TO" "xlrbd: web1: its migration to xen$TO was interrupted; it goes on here"
	at_home "$TO"
}

# Before the source has heard of it, the guest has run there and is no more: the old copy's memory is of before that.
ended_after_go() {
	local told

	find_guest
	hold_go
	signal "$FROM" KILL migrate
	signal "$TO" CONT receive
	failed
	goes_on "$TO"
	told=$(ticks "$TO")
	x "$TO" "xlrbd destroy web1"
	expect_fail x "$FROM" "xlrbd gc 2>&1"
	echo "note: $OUTPUT"
	expect_match "$OUTPUT" "xlrbd: web1: has run on xen$TO, .*stays suspended, as web1--migratedaway.*xl destroy $DOMID"
	expect_fail x "$FROM" "xlrbd create /root/web1.cfg 2>&1"
	# Not by its other name either.
	expect_fail x "$FROM" "xlrbd migrate web1--migratedaway xen$TO 2>&1"
	expect_match "$OUTPUT" "not migrated: is suspended; run .xlrbd gc."
	suspended || fail "it is not suspended on xen$FROM"
	verify_crashed "$told"
	x "$FROM" "xl destroy $DOMID"
	# From its disks, as after a power failure.
	x "$FROM" "rm -f /var/log/xen/console/guest-web1*.log; xlrbd create /root/web1.cfg"
	"$LAB" guestwait "xen$FROM" web1 "lab: guest up" $PATIENCE
	x "$FROM" "xlrbd shutdown --wait web1"
	nothing_left root
	drop_image root
}

link_in_copy() {
	find_guest
	migrate "xen$TO"
	hold_copy
	signal "$FROM" KILL ssh
	release_copy
	failed
	goes_on_here
	# It knows that the stream is over.
	wait_gone "$TO" web1--incoming
	eventually $PATIENCE nothing_on "$TO"
	at_home "$FROM"
}

# Nobody says that the link is dead: neither that the destination stands still, nor that it is off.
destination_hangs_in_copy() {
	local begin

	find_guest
	migrate "xen$TO"
	hold_copy
	"$LAB" freeze "xen$TO"
	begin=$SECONDS
	release_copy
	failed
	echo "note: given up after $((SECONDS - begin)) s"
	goes_on_here
	goes_on "$FROM"
	"$LAB" thaw "xen$TO"
	eventually $PATIENCE nothing_on "$TO"
	at_home "$FROM"
}

destination_off_in_copy() {
	local begin

	find_guest
	migrate "xen$TO"
	hold_copy
	x "$TO" sync
	"$LAB" power-off "xen$TO"
	begin=$SECONDS
	release_copy
	failed
	echo "note: given up after $((SECONDS - begin)) s"
	goes_on_here
	goes_on "$FROM"
	"$LAB" power-on "xen$TO"
	# Ceph believes for half a minute that the host still watches the image, and so does gc.
	eventually $PATIENCE cleaned_up
	at_home "$FROM"
}

cleaned_up() {
	x "$TO" "xlrbd gc" && [[ $(holders) == "held,xen$FROM" ]]
}

# The guest dies with its host, and what has arrived of it is worth nothing.
source_off_in_copy() {
	local told

	find_guest
	migrate "xen$TO"
	hold_copy
	told=$(ticks "$FROM")
	x "$FROM" sync
	"$LAB" power-off "xen$FROM"
	failed
	eventually $PATIENCE nothing_on "$TO"
	expect_eq "$(holders)" "held,xen$FROM" "holders with the source off"
	"$LAB" power-on "xen$FROM"
	eventually $PATIENCE nobody_holds
	verify_crashed "$told"
	nothing_left root
	drop_image root
}

nobody_holds() {
	x "$FROM" "xlrbd gc" && [[ -z $(holders) ]]
}

the_end() {
	find_guest
	finish "$FROM"
	no_trace
}

# Before its disk is attached, and after: the next create makes a domain of it that runs.
create_killed() {
	local when

	root_image root
	define 1 -t pvh web1 "$(disk rbd:root)" >/dev/null
	for when in before after; do
		x 1 'xlrbd create web1' >/dev/null 2>&1 &
		hold_helper 1
		if [[ $when == before ]]; then
			x 1 "pkill -KILL -o -f '^[^ ]*xlrb[d] create'"
			x 1 "pkill -CONT -x block-rbd"
		else
			x 1 "pkill -STOP -o -f '^[^ ]*xlrb[d] create'"
			x 1 "pkill -CONT -x block-rbd"
			TO=1 eventually $PATIENCE connected
			x 1 "pkill -KILL -o -f '^[^ ]*xlrb[d] create'"
		fi
		! wait $! || fail "create was not killed"
		x 1 "rm -f /var/log/xen/console/guest-web1*.log"
		next 1 "xlrbd create web1" "web1: domain [0-9]+"
		"$LAB" guestwait xen1 web1 "lab: guest up" $PATIENCE
		expect_eq "$(lockers root | wc -l)" 1 "entries"
		expect_eq "$(monitors 1)" "$(x 1 'xl domid web1')" "monitors"
		x 1 'xlrbd shutdown --wait web1'
		nothing_left root
	done
	x 1 'xlrbd undefine web1'
	no_trace root
	drop_image root
}

t "the source's xlrbd killed during the copy" source_in_copy
t "the source's xlrbd killed when the guest is suspended" source_before_go
t "the source's xlrbd killed when it has said go" source_after_go
t "the destination's xlrbd killed during the copy" receive_in_copy
t "the destination's xlrbd killed when the guest is suspended" receive_before_go
t "the destination's xlrbd killed when it was told to go" receive_after_go
t "both killed when go was said" both_after_go
t "it has run there and ended before the source hears of it" ended_after_go
t "the link cut during the copy" link_in_copy
t "the destination stands still during the copy" destination_hangs_in_copy
t "the destination loses power during the copy" destination_off_in_copy
t "after all of that" the_end
t "the source loses power during the copy" source_off_in_copy
t "xlrbd create killed, and repeated" create_killed
summary
