// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The story of one vbd: add, the domain's life, remove.  One statement is one
 * operation of the cluster, of the kernel or of this host.
 */

/* SIGKILL, between any two steps. */
#define KILLED \
	:: atomic { kills > 0 && !HAS(lost, i) -> kills--; goto killed }
/* The cluster does not answer: the deadline passes, and undoing fails too. */
#define TIMED_OUT \
	:: atomic { HAS(cut, HOST(i)) && !HAS(lost, i) -> goto killed }
#define POWER_LOST \
	:: atomic { HAS(lost, i) -> goto out }
#define OR_DIE		KILLED TIMED_OUT POWER_LOST

/* One operation.  (No commas in what it does: this is cpp's.) */
#define STEP(what) \
	if \
	:: d_step { REACHES(i) -> what } \
	OR_DIE \
	fi

/* One that its sender's death does not call back. */
#define SENT(what, later) \
	if \
	:: d_step { REACHES(i) -> what } \
	:: atomic { kills > 0 && !HAS(lost, i) -> \
		kills--; later; goto killed } \
	:: atomic { HAS(cut, HOST(i)) && !HAS(lost, i) -> later; goto killed } \
	OR_DIE \
	fi

/* One of remove: libxl ignores its fate, and never runs it again. */
#define REMOVE_STEP(what) \
	if \
	:: d_step { REACHES(i) -> what } \
	:: atomic { kills > 0 && !HAS(lost, i) -> kills--; goto dead } \
	:: atomic { HAS(cut, HOST(i)) && !HAS(lost, i) -> goto dead } \
	POWER_LOST \
	fi

#define HELD_FOES	(held & foes[i])
#define PENDING_FOES	(pending & foes[i])
/* Of two that are pending the lower one waits and the higher one withdraws. */
#define LOWER		(flip -> (ALL - BIT(i) - (BIT(i) - 1)) : (BIT(i) - 1))
#define HIGHER		(flip -> (BIT(i) - 1) : (ALL - BIT(i) - (BIT(i) - 1)))
#if defined(MUTANT_BOTH_WITHDRAW)
#define MUST_WITHDRAW	(PENDING_FOES != 0)
#elif defined(MUTANT_BOTH_WAIT)
#define MUST_WITHDRAW	false
#else
#define MUST_WITHDRAW	((PENDING_FOES & LOWER) != 0)
#endif
/* A pending entry whose helper is not going to decide anything. */
#define DECIDES(k) \
	(HAS(PENDING_FOES, k) && HAS(helper, k) && !HAS(cut, HOST(k)))
#define WAITS_IN_VAIN	(PENDING_FOES && !SOME(DECIDES))

#ifdef MUTANT_TOMBSTONE_IGNORED
#define FORBIDDEN	false
#else
#define SAME_UUID(k)	(HAS(tombstone, k) && UUID(k) == UUID(i))
#define FORBIDDEN	(HAS(INCOMING, i) && SOME(SAME_UUID))
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

proctype Vbd(byte i)
{
	byte other;	/* whose entry it is busy with */

	/* xl create, xl migrate-receive, a reboot; or it never comes to it. */
	if
	:: d_step {
		MAY_BEGIN(i) && HAS(up, HOST(i)) ->
		domain[i] = BUILT;
		PUT(helper, i)
	}
	:: atomic { MAY_PASS(i) -> goto out }
	fi;

	/* xlrbd__lock_register(): first the entry ... */
	SENT(PUT(pending, i), PUT(late_pending, i));

	/* ... then everybody's: look(), until there is a verdict */
look:
	if
#ifdef MUTANT_NO_CHECK
	:: atomic { REACHES(i) -> goto map }
#endif
	:: atomic { REACHES(i) && FORBIDDEN -> goto undo }
	:: atomic {
		REACHES(i) && !FORBIDDEN && !HELD_FOES && !PENDING_FOES ->
		goto map
	}
	:: atomic {
		REACHES(i) && !FORBIDDEN && HELD_FOES &&
		!HAS(TAKEOVER, i) -> goto undo
	}
	:: atomic {
		REACHES(i) && PENDING_FOES &&
		(MUST_WITHDRAW || WAITS_IN_VAIN) -> goto undo
	}
#ifndef NEVER_STALE
	/* Its age does not count: clocks may say anything. */
	:: atomic {
		REACHES(i) && PENDING_FOES ->
		if
		:: HAS(PENDING_FOES, 0) -> other = 0
		:: HAS(PENDING_FOES, 1) -> other = 1
#if N > 2
		:: HAS(PENDING_FOES, 2) -> other = 2
#endif
#if N > 3
		:: HAS(PENDING_FOES, 3) -> other = 3
#endif
		fi;
		goto break_stale
	}
#endif
#if TAKEOVER
	/* Who is pending decides first; a fence hits a whole host. */
	:: atomic {
		REACHES(i) && !FORBIDDEN && !PENDING_FOES && HELD_FOES &&
		HAS(TAKEOVER, i) ->
		if
		:: HAS(HELD_FOES, 0) -> other = 0
		:: HAS(HELD_FOES, 1) -> other = 1
#if N > 2
		:: HAS(HELD_FOES, 2) -> other = 2
#endif
#if N > 3
		:: HAS(HELD_FOES, 3) -> other = 3
#endif
		fi;
		goto take_over
	}
#endif
	OR_DIE
	fi;

break_stale:
	STEP(DROP(pending, other));
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
	:: atomic { REACHES(i) && !HAS(watch, other) }
	:: atomic { REACHES(i) && HAS(watch, other) -> other = 0; goto undo }
	OR_DIE
	fi;
#ifdef MUTANT_BREAK_BEFORE_BLOCKLIST
	STEP(PUT(tombstone, other));
	STEP(assert(!ABLE(other)); DROP(held, other));
#endif
	/* ... its address is blocklisted ... */
	STEP(PUT(fence_mon, address[other]));
#ifndef MUTANT_NO_OSDMAP_WAIT
	/* ... and every OSD that will ever answer us knows. */
	STEP(fence_osd = fence_mon);
#endif
	/* The tombstone first: there is no moment without either. */
#if defined(MUTANT_TOMBSTONE_AFTER_BREAK)
	STEP(assert(!ABLE(other)); DROP(held, other));
	STEP(PUT(tombstone, other));
#elif !defined(MUTANT_BREAK_BEFORE_BLOCKLIST)
	STEP(PUT(tombstone, other));
	STEP(assert(!ABLE(other)); DROP(held, other));
#endif
#ifdef MUTANT_TAKEOVER_LOOKS_ONCE
	other = 0;
	goto map;
#else
	other = 0;
	goto look;
#endif
#endif

map:
	/* A client that is fenced cannot map: EBLOCKLISTED. */
	if
	:: atomic {
		REACHES(i) && !HAS(fence_mon, CLIENT) ->
		address[i] = CLIENT;
		PUT(mapped, i);
		PUT(watch, i)
	}
	:: atomic { REACHES(i) && HAS(fence_mon, CLIENT) -> goto undo }
	OR_DIE
	fi;
#ifdef MUTANT_RECORD_AFTER
	STEP(PUT(rec_map, i));
#endif
#ifdef MUTANT_PUBLISH_BEFORE_PROMOTION
	STEP(domain[i] = (HAS(INCOMING, i) -> PAUSED : RUNNING));
#endif

	/* xlrbd__lock_promote() */
	SENT(PUT(held, i), PUT(late_held, i));
#ifndef MUTANT_NO_SECOND_LOOK
	if
	:: atomic { REACHES(i) && HAS(pending, i) }
	:: atomic { REACHES(i) && !HAS(pending, i) -> goto undo }
	OR_DIE
	fi;
#endif
	STEP(DROP(pending, i));
#ifdef MUTANT_RECORD_AFTER
	STEP(PUT(rec_held, i));
#endif

	/* Publish; libxl unpauses a domain that is not incoming. */
	if
	:: d_step {
		!HAS(lost, i) ->
		PUT(won, i);
#ifndef MUTANT_PUBLISH_BEFORE_PROMOTION
		domain[i] = (HAS(INCOMING, i) -> PAUSED : RUNNING);
#endif
		DROP(helper, i)
	}
	KILLED
	POWER_LOST
	fi;

	/*
	 * It lives, until it powers off, reboots, crashes, is destroyed or
	 * has gone by migration.
	 */
	if
	:: atomic {
		domain[i] == RUNNING || domain[i] == SUSPENDED ||
		domain[i] == PAUSED || domain[i] == DYING ->
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
	STEP(domain[i] = DYING; DROP(mapped, i); DROP(watch, i));
	STEP(DROP(held, i));
	STEP(DROP(pending, i));
	d_step {
		DROP(helper, i);
		domain[i] = DEAD
	};
	goto out;

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
	:: atomic { !HAS(lost, i) -> PUT(helper, i) }
	:: atomic { kills > 0 && !HAS(lost, i) -> kills--; goto dead }
	POWER_LOST
	fi;
#ifdef MUTANT_WITHDRAW_BEFORE_UNMAP
	REMOVE_STEP(DROP(held, i));
#endif
	if
	:: d_step {
		REACHES(i) && !HAS(queued, i) && KNOWS_MAP ->
		DROP(mapped, i);
		DROP(watch, i)
	}
	:: atomic { !HAS(lost, i) && !KNOWS_MAP }
	:: atomic { kills > 0 && !HAS(lost, i) -> kills--; goto dead }
	:: atomic { HAS(cut, HOST(i)) && !HAS(lost, i) -> goto dead }
	POWER_LOST
	fi;
	REMOVE_STEP(if :: KNOWS_HELD -> DROP(held, i) :: else fi);
	REMOVE_STEP(DROP(pending, i));
#ifdef NO_GC
	/* It has done all, so there is nothing for gc. */
	assert(HAS(late_held, i) || HAS(late_pending, i) ||
	       (!HAS(held, i) && !HAS(pending, i) && !HAS(mapped, i)));
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
