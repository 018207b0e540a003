// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The story of one vbd: add, the domain's life, remove.  One statement is one
 * operation of the cluster, of the kernel or of this host.
 */

/* SIGKILL, between any two steps. */
#define MAY_KILL(i)	(kills > 0 && HAS(KILLABLE, i) && !HAS(lost, i))
#define KILLED \
	:: atomic { MAY_KILL(i) -> \
		say(i, "helper killed"); kills--; goto killed }
/* The cluster does not answer: the deadline passes, and undoing fails too. */
#define TIMED_OUT \
	:: atomic { HAS(cut, HOST(i)) && !HAS(lost, i) -> \
		say(i, "no answer; gives up"); goto killed }
#define POWER_LOST \
	:: atomic { HAS(lost, i) -> goto out }
#define OR_DIE		KILLED TIMED_OUT POWER_LOST

/* One operation.  (No commas in what it does: this is cpp's.) */
#define STEP(text, what) \
	if \
	:: d_step { REACHES(i) -> say(i, text); what } \
	OR_DIE \
	fi

/* One that its sender's death does not call back. */
#ifdef NEVER_LATE
#define SENT(text, what, late) STEP(text, what)
#else
#define SENT(text, what, late) \
	if \
	:: d_step { REACHES(i) -> say(i, text); what } \
	:: atomic { MAY_KILL(i) -> \
		say(i, "helper killed; its request is on its way"); \
		kills--; late; goto killed } \
	:: atomic { HAS(cut, HOST(i)) && !HAS(lost, i) -> \
		say(i, "gives up; its request is on its way"); \
		late; goto killed } \
	OR_DIE \
	fi
#endif

/* One of remove: libxl ignores its fate, and never runs it again. */
#define REMOVE_STEP(text, what) \
	if \
	:: d_step { REACHES(i) -> say(i, text); what } \
	:: atomic { MAY_KILL(i) -> \
		say(i, "remove killed"); kills--; goto dead } \
	:: atomic { HAS(cut, HOST(i)) && !HAS(lost, i) -> \
		say(i, "remove gives up"); goto dead } \
	POWER_LOST \
	fi

#define HELD_FOES	(held & foes[i])
#define PENDING_FOES	(pending & foes[i])
/* Of two that are pending the lower one waits and the higher one withdraws. */
#define LOWER		(flip -> (ALL - BIT(i) - (BIT(i) - 1)) : (BIT(i) - 1))
#if defined(MUTANT_BOTH_WITHDRAW)
#define MUST_WITHDRAW	(PENDING_FOES != 0)
#elif defined(MUTANT_BOTH_WAIT)
#define MUST_WITHDRAW	false
#else
#define MUST_WITHDRAW	((PENDING_FOES & LOWER) != 0)
#endif
/* It waits for one whose helper is not going to decide anything. */
#define DECIDES(k) \
	(HAS(PENDING_FOES, k) && HAS(helper, k) && !HAS(cut, HOST(k)))
#define WAITS_IN_VAIN	(PENDING_FOES && !SOME(DECIDES))

#ifdef MUTANT_TOMBSTONE_IGNORED
#define FORBIDDEN	false
#else
#define BARS(k)		(HAS(tombstone, k) && UUID(k) == UUID(i))
#define FORBIDDEN	(HAS(INCOMING, i) && SOME(BARS))
#endif

/*
 * A migrated domain waits for GO.  Without a migration in the scenario it gets
 * it at once, from a source that never had this disk (xl migrate -C).
 */
#ifdef MIGRATION
#define CONNECTED	(HAS(INCOMING, i) -> PAUSED : RUNNING)
#else
#define CONNECTED	RUNNING
#endif

#ifdef MUTANT_RECORD_AFTER
#define KNOWS_MAP	HAS(rec_map, i)
#define KNOWS_HELD	HAS(rec_held, i)
#else
#define KNOWS_MAP	true
#define KNOWS_HELD	true
#endif

/* krbd makes one client for a host, and a new one if no map needs the old. */
#define SHARES(k)	(HAS(mapped, k) && HOST(k) == HOST(i))
#define CLIENT		(SHARES(0) -> address[0] : (SHARES(1) -> address[1] : \
			 (SHARES(2) -> address[2] : \
			  (SHARES(3) -> address[3] : i))))

#ifdef MIGRATION
#define MAY_BEGIN(i)	((i) != 1 || add_began)
#define MAY_PASS(i)	((i) != 1 || migration == OVER)
#else
#define MAY_BEGIN(i)	true
#define MAY_PASS(i)	true
#endif

/* Any one of a set of slots. */
inline pick(slot, set)
{
	if
	:: HAS(set, 0) -> slot = 0
	:: HAS(set, 1) -> slot = 1
#if N > 2
	:: HAS(set, 2) -> slot = 2
#endif
#if N > 3
	:: HAS(set, 3) -> slot = 3
#endif
	fi
}

proctype Vbd(byte i)
{
	byte other;	/* whose entry it is busy with */

#ifdef SETTLED
	if
	:: atomic { i == 0 -> goto lives }
	:: atomic { i != 0 }
	fi;
#endif
	/* xl create, xl migrate-receive, a reboot; or it never comes to it. */
	if
	:: d_step {
		MAY_BEGIN(i) && HAS(up, HOST(i)) ->
		say(i, "add begins");
#ifdef SOMEBODY_WINS
		tried = 1;
#endif
		domain[i] = BUILT;
		PUT(helper, i)
	}
	:: atomic { MAY_PASS(i) -> goto out }
	fi;

	/* xlrbd__lock_register(): first the entry ... */
	SENT("registers", PUT(pending, i), PUT(late_pending, i));

	/* ... then everybody's: look(), until there is a verdict. */
look:
	if
#ifdef MUTANT_NO_CHECK
	:: atomic { REACHES(i) -> goto map }
#endif
	:: atomic {
		REACHES(i) && FORBIDDEN ->
		say(i, "looks: a tombstone forbids it to join");
		goto undo
	}
	:: atomic {
		REACHES(i) && !FORBIDDEN && !HELD_FOES && !PENDING_FOES ->
		say(i, "looks: granted");
		goto map
	}
	:: atomic {
		REACHES(i) && !FORBIDDEN && HELD_FOES && !HAS(TAKEOVER, i) ->
		say(i, "looks: refused, held");
		goto undo
	}
	:: atomic {
		REACHES(i) && PENDING_FOES && (MUST_WITHDRAW || WAITS_IN_VAIN) ->
		say(i, "looks: gives way to a pending one");
		goto undo
	}
	/* Otherwise a lower one waits for the pending one to decide. */
#ifndef NEVER_STALE
	/* Its age does not count: clocks may say anything. */
	:: atomic {
		REACHES(i) && PENDING_FOES ->
		say(i, "looks: takes a pending one for stale");
		pick(other, PENDING_FOES);
		goto break_stale
	}
#endif
#if TAKEOVER
	/* Who is pending decides first; a fence hits a whole host. */
	:: atomic {
		REACHES(i) && !FORBIDDEN && !PENDING_FOES && HELD_FOES &&
		HAS(TAKEOVER, i) ->
		say(i, "looks: held; means to take over");
		pick(other, HELD_FOES);
		goto take_over
	}
#endif
	OR_DIE
	fi;

break_stale:
	STEP("breaks the stale one", DROP(pending, other));
	other = 0;
#ifdef MUTANT_BREAK_WITHOUT_LOOKING
	goto map;
#else
	goto look;
#endif

#if TAKEOVER
take_over:
	/* The holder has no live watch ... */
	if
	:: atomic {
		REACHES(i) && !HAS(watch, other) -> say(i, "sees no watch")
	}
	:: atomic {
		REACHES(i) && HAS(watch, other) ->
		say(i, "sees a watch: refused");
		other = 0;
		goto undo
	}
	OR_DIE
	fi;
#ifdef MUTANT_BREAK_BEFORE_BLOCKLIST
	STEP("writes a tombstone", PUT(tombstone, other));
	STEP("breaks the held entry",
	     assert(!ABLE(other)); DROP(held, other));
#endif
	/* ... its address is blocklisted ... */
	STEP("blocklists the address", PUT(fence_mon, address[other]));
#if defined(OTHERS_FENCE) && !defined(MUTANT_FENCE_NOT_VERIFIED)
	/* ... for as long as we said, and not by somebody else's word ... */
	if
	:: atomic {
		REACHES(i) && HAS(fence_mon, address[other]) &&
		!HAS(fence_short, address[other]) ->
		say(i, "sees its own expiry in the blocklist")
	}
	:: atomic {
		REACHES(i) && (!HAS(fence_mon, address[other]) ||
			       HAS(fence_short, address[other])) ->
		say(i, "sees another expiry in the blocklist: refused");
		other = 0;
		goto undo
	}
	OR_DIE
	fi;
#endif
#ifndef MUTANT_NO_OSDMAP_WAIT
	/* ... and every OSD that will ever answer us knows. */
	STEP("has waited for the osdmap", fence_osd = fence_osd | fence_mon);
#endif
	/* The tombstone first: there is no moment without either. */
#if defined(MUTANT_TOMBSTONE_AFTER_BREAK)
	STEP("breaks the held entry",
	     assert(!ABLE(other)); DROP(held, other));
	STEP("writes a tombstone", PUT(tombstone, other));
#elif !defined(MUTANT_BREAK_BEFORE_BLOCKLIST)
	STEP("writes a tombstone", PUT(tombstone, other));
	STEP("breaks the held entry",
	     assert(!ABLE(other)); DROP(held, other));
#endif
	other = 0;
#ifdef MUTANT_TAKEOVER_LOOKS_ONCE
	goto map;
#else
	goto look;
#endif
#endif

map:
	/* A client that is fenced cannot map: EBLOCKLISTED. */
	if
	:: atomic {
		REACHES(i) && !HAS(fence_mon, CLIENT) ->
		say(i, "maps");
		address[i] = CLIENT;
		PUT(mapped, i);
		PUT(watch, i)
	}
	:: atomic {
		REACHES(i) && HAS(fence_mon, CLIENT) ->
		say(i, "cannot map: this host's client is fenced");
		goto undo
	}
	OR_DIE
	fi;
#ifdef MUTANT_RECORD_AFTER
	STEP("records the map", PUT(rec_map, i));
#endif
#ifdef MUTANT_PUBLISH_BEFORE_PROMOTION
	STEP("publishes", domain[i] = CONNECTED);
#endif

	/* xlrbd__lock_promote() */
	SENT("adds the held entry", PUT(held, i), PUT(late_held, i));
#ifndef MUTANT_NO_SECOND_LOOK
	if
	:: atomic {
		REACHES(i) && HAS(pending, i) ->
		say(i, "second look: still pending")
	}
	:: atomic {
		REACHES(i) && !HAS(pending, i) ->
		say(i, "second look: broken, undoes it all");
		goto undo
	}
	OR_DIE
	fi;
#endif
	STEP("drops the pending entry", DROP(pending, i));
#ifdef MUTANT_RECORD_AFTER
	STEP("records the held entry", PUT(rec_held, i));
#endif

	/* Publish; libxl unpauses a domain that is not incoming. */
	if
	:: d_step {
		!HAS(lost, i) ->
		say(i, "publishes, add is done");
		PUT(won, i);
#ifndef MUTANT_PUBLISH_BEFORE_PROMOTION
		domain[i] = CONNECTED;
#endif
		DROP(helper, i)
	}
	KILLED
	POWER_LOST
	fi;

lives:
	/*
	 * It lives, until it powers off, reboots, crashes, is destroyed or
	 * has gone by migration.
	 */
	if
	:: atomic {
		domain[i] == RUNNING || domain[i] == SUSPENDED ||
		domain[i] == PAUSED || domain[i] == DYING ->
		say(i, "is destroyed");
#ifdef QUEUE
		if
		:: STARTED(i) -> PUT(queued, i)
		:: true
		fi;
#endif
		domain[i] = DYING
	}
	POWER_LOST
	fi;
	goto remove;

undo:
	/* Unmap, withdraw held, withdraw pending; then libxl destroys it. */
	STEP("unmaps",
	     domain[i] = DYING; DROP(mapped, i); DROP(watch, i));
	STEP("withdraws held", DROP(held, i));
	STEP("withdraws pending", DROP(pending, i));
	atomic {
		DROP(helper, i);
		domain[i] = DEAD;
		goto out
	};

killed:
	atomic {
		other = 0;
		DROP(helper, i);
		if
		:: domain[i] != DEAD -> domain[i] = DYING
		:: else
		fi
	};

remove:
	/* libxl runs it, or loses patience and forgets the disk. */
	if
	:: atomic { !HAS(lost, i) -> say(i, "remove begins"); PUT(helper, i) }
	:: atomic {
		MAY_KILL(i) ->
		say(i, "remove is not run");
		kills--;
		goto dead
	}
	POWER_LOST
	fi;
#ifdef MUTANT_WITHDRAW_BEFORE_UNMAP
	REMOVE_STEP("withdraws held", DROP(held, i));
#endif
	if
	:: d_step {
		/* The kernel writes out first what is queued. */
		REACHES(i) && !HAS(queued, i) && KNOWS_MAP ->
		say(i, "unmaps");
		DROP(mapped, i);
		DROP(watch, i)
	}
	:: atomic { !HAS(lost, i) && !KNOWS_MAP }
	:: atomic { MAY_KILL(i) ->
		say(i, "remove killed"); kills--; goto dead }
	:: atomic { HAS(cut, HOST(i)) && !HAS(lost, i) ->
		say(i, "remove gives up"); goto dead }
	POWER_LOST
	fi;
	REMOVE_STEP("withdraws held",
		    if :: KNOWS_HELD -> DROP(held, i) :: else fi);
	REMOVE_STEP("withdraws pending", DROP(pending, i));
#ifdef NEVER_LATE
	/* It has done all its work, so nothing is left for gc. */
	assert(!HAS(held, i) && !HAS(pending, i) && !HAS(mapped, i));
#endif
#ifdef MUTANT_GC_BY_CLIENT
	PUT(forgotten, i);
#endif
dead:
	atomic {
		if
		:: !HAS(lost, i) -> DROP(helper, i); domain[i] = DEAD
		:: else
		fi
	};
out:
	atomic {
		DROP(lost, i);
		PUT(done, i)
	}
}
