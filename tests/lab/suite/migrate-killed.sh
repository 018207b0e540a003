#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# xl migrate that dies, at each of its phases: who runs the guest then, which entries remain, what has to be typed, and
# that nothing is lost.  One guest goes through all of it.
. "$(dirname "$0")/migrating.sh"

# What is left of it on the destination: with or without a disk; in both cases gc has no business with it.
half_built() { # half_built ENTRY...
	expect_match "$(x "$TO" "xl list web1--incoming")" " --p--- " "the domain on the destination"
	expect_eq "$(holders)" "$*" "holders"
	expect_eq "$(gc "$TO")" 0 "cleaned up beside a domain"
	expect_eq "$(holders)" "$*" "holders after gc"
	echo "note: xl destroy web1--incoming on xen$TO; entries before: $*"
	x "$TO" "xl destroy web1--incoming"
}

receive_in_copy() {
	find_guest
	migrate "xen$TO"
	hold_copy
	signal "$TO" KILL receive
	release_copy
	failed "Migration failed, resuming at sender."
	half_built "held,xen$FROM"
	settled "$FROM"
}

link_in_copy() {
	find_guest
	migrate "xen$TO"
	hold_copy
	signal "$FROM" KILL ssh
	release_copy
	failed "Migration failed, resuming at sender."
	# It knows that the stream is over.
	wait_gone "$TO" web1--incoming
	settled "$FROM"
}

source_in_copy() {
	find_guest
	migrate "xen$TO"
	hold_copy
	signal "$FROM" KILL migrate
	release_copy
	failed
	wait_gone "$TO" web1--incoming
	eventually $PATIENCE no_sender
	settled "$FROM"
}

destination_off_in_copy() {
	find_guest
	migrate "xen$TO"
	hold_copy
	x "$TO" sync
	"$LAB" power-off "xen$TO"
	goes_on "$FROM"
	# Nobody has told xl: it waits for TCP to give up.  Ctrl-C.  Its ssh hears that too, but then wants to tell a host
	# that is not there, for as long; it has our stderr.
	release_copy
	kill -0 "$MIGRATION"
	# shellcheck disable=SC2016 # for the host's shell
	x "$FROM" 'for p in $(pgrep -f "bin/x[l] migrate web1"); do kill -INT -$(ps -o pgid= -p $p | tr -d " "); done
		pkill -KILL -f "^ss[h] xen. xl migrate"; true'
	failed
	eventually $PATIENCE no_sender
	goes_on "$FROM"
	expect_eq "$(holders)" "held,xen$FROM" "holders with the destination off"
	"$LAB" power-on "xen$TO"
	expect_eq "$(gc "$TO")" 0 "cleaned up on the destination"
	settled "$FROM"
}

receive_after_add() {
	find_guest
	migrate "xen$TO"
	hold_add
	signal "$TO" STOP receive
	release_add
	eventually $PATIENCE both_hold
	eventually $PATIENCE connected
	signal "$TO" KILL receive
	failed "Migration failed, resuming at sender."
	goes_on "$FROM"
	half_built held,xen1 held,xen2
	settled "$FROM"
}

link_in_add() {
	find_guest
	migrate "xen$TO"
	hold_add
	signal "$FROM" KILL ssh
	failed "Migration failed, resuming at sender."
	# The source's guest runs again when add goes on, and its kernel has to give the image up and to get it back.
	goes_on "$FROM"
	release_add
	eventually $PATIENCE connected
	goes_on "$FROM"
	half_built held,xen1 held,xen2
	settled "$FROM"
}

# This xl has no word for it.  But a migration that breaks off resumes what it finds suspended: so to somebody who asks
# for it, takes a little and hangs up.
resume() { # resume HOST
	local hang_up="echo xl migration receiver ready, send binary domain data.; head -c 65536 >/dev/null"

	expect_fail x "$1" "xl migrate -s 'sh -c \"$hang_up\" #' web1 nowhere"
	expect_match "$OUTPUT" "resuming at sender"
	echo "note: xl migrate -s 'sh -c \"$hang_up\" #' web1 nowhere"
}

source_in_add() {
	find_guest
	migrate "xen$TO"
	hold_add
	signal "$FROM" KILL migrate
	release_add
	failed
	# Nobody says GO: it destroys its copy.
	wait_gone "$TO" web1--incoming
	# Nobody runs it, the source could, and only the source may.
	expect_match "$(x "$FROM" "xl list web1")" " ---ss- " "the domain on the source"
	expect_eq "$(holders)" "held,xen$FROM" "holders"
	expect_fail x "$TO" "xl create /root/web1.cfg"
	expect_match "$OUTPUT" "rbd/root: held for writing by domain web1"
	expect_eq "$(gc "$FROM")" 0 "cleaned up under a suspended domain"
	resume "$FROM"
	settled "$FROM"
}

# GO was said and nobody answers: xl leaves both of them and the decision to the administrator.
receive_after_go() {
	find_guest
	migrate "xen$TO"
	hold_add
	signal "$FROM" STOP migrate
	release_add
	eventually $PATIENCE says "requesting permission to start domain"
	signal "$TO" STOP receive
	signal "$FROM" CONT migrate
	eventually $PATIENCE says "Giving target permission to start."
	signal "$TO" KILL receive
	failed "CHECK AT BOTH ENDS"
	expect_match "$(x "$FROM" "xl list web1--migratedaway")" " ---ss- " "the domain on the source"
	expect_match "$(x "$TO" "xl list web1--incoming")" " --p--- " "the domain on the destination"
	expect_eq "$(holders)" "held,xen1 held,xen2" "holders"
	expect_eq "$(gc 1) $(gc 2)" "0 0" "cleaned up beside domains"
	echo "note: xl destroy web1--migratedaway; xl rename web1--incoming web1 && xl unpause web1"
	x "$FROM" "xl destroy web1--migratedaway"
	x "$TO" "xl rename web1--incoming web1 && xl unpause web1"
	settled "$TO"
}

# The destination runs the guest; the source dies before it has given its disk up.
source_off_after_go() {
	find_guest
	migrate "xen$TO"
	eventually $PATIENCE says "Target reports successful startup."
	hold_helper "$FROM"
	x "$FROM" sync
	"$LAB" power-off "xen$FROM"
	goes_on "$TO"
	expect_eq "$(holders)" "held,xen1 held,xen2" "holders with the source off"
	# Another host's entry is none of its business.
	expect_eq "$(gc "$TO")" 0 "cleaned up by the destination"
	"$LAB" power-on "xen$FROM"
	# Ceph believes for half a minute that the host still watches the image, and so does gc.
	eventually $PATIENCE cleaned "$FROM" 1
	settled "$TO"
}

cleaned() {
	(($(gc "$1") == $2))
}

the_end() {
	find_guest
	finish "$FROM"
}

t "the destination's xl killed during the copy" receive_in_copy
t "the link cut during the copy" link_in_copy
t "the source's xl killed during the copy" source_in_copy
t "the destination loses power during the copy" destination_off_in_copy
t "the destination's xl killed when it has the disk, before it is ready" receive_after_add
t "the link cut while the destination gets the disk" link_in_add
t "the source's xl killed while the destination gets the disk" source_in_add
t "the destination's xl killed when it was told to go" receive_after_go
t "the source loses power when the guest runs on the destination" source_off_after_go
t "after all of that" the_end
summary
