// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What happens around the helpers: OSDs, kernels, hosts, gc, and xl.
 */

/* Whether a living process for slot i gets answers from the cluster. */
#define REACHES(i)	(!HAS(lost, i) && !HAS(cut, HOST(i)))

/* Evidence of gc: an entry or a map of this host that no domain needs. */
#define LEFTOVER(i)	(domain[i] == DEAD && !HAS(helper, i) && \
			 HAS(up, HOST(i)) && !HAS(cut, HOST(i)))
#define UNMAPPABLE(i)	(LEFTOVER(i) && HAS(mapped, i) && !HAS(queued, i))
/* An entry of an earlier boot waits for its watch: it might be a namesake. */
#define RELEASABLE(i)	(LEFTOVER(i) && !HAS(mapped, i) && !HAS(watch, i))
#ifdef MUTANT_GC_BY_CLIENT
/* The client of some other image's map: it lives on and on. */
#define STALE_HELD(i)	(RELEASABLE(i) && HAS(held, i) && !HAS(forgotten, i))
#else
#define STALE_HELD(i)	(RELEASABLE(i) && HAS(held, i))
#endif
#ifdef MUTANT_GC_KEEPS_PENDING
#define STALE_PENDING(i) (RELEASABLE(i) && HAS(pending, i) && !HAS(of_old, i))
#else
#define STALE_PENDING(i) (RELEASABLE(i) && HAS(pending, i))
#endif
#ifdef MUTANT_TOMBSTONE_DROPPED_EARLY
#define STALE_TOMBSTONE(i) (HAS(tombstone, i) && HAS(up, HOST(i)) && \
			    !HAS(cut, HOST(i)))
#else
#define STALE_TOMBSTONE(i) (HAS(tombstone, i) && LEFTOVER(i))
#endif
#define FLUSHABLE(i)	(HAS(queued, i) && !HAS(cut, HOST(i)))
#define EXPIRES(i)	(HAS(watch, i) && (!HAS(mapped, i) || \
			 HAS(cut, HOST(i)) || FENCED(i)))
#define REWATCHES(i)	(HAS(mapped, i) && !HAS(watch, i) && \
			 !HAS(cut, HOST(i)) && !FENCED(i))

#define BUSY(i)		(UNMAPPABLE(i) || STALE_HELD(i) || STALE_PENDING(i) || \
			 STALE_TOMBSTONE(i) || FLUSHABLE(i) || EXPIRES(i))

/* Held, and nobody could ever take it over: its watch lives. */
#define STUCK(i)	(HAS(held, i) && HAS(watch, i))

/* Nothing of a domain, a kernel or a helper is left after a power cut. */
inline lose_power(h)
{
	byte k;

	printf("\nhost %d loses power\n", h);
	DROP(up, h);
	power_cuts--;
	for (k : 0 .. N - 1) {
		if
		:: HOST(k) == h && domain[k] != NONE && !HAS(done, k) ->
			PUT(lost, k)
		:: else
		fi;
		if
		:: HOST(k) == h && domain[k] != NONE ->
#ifdef MUTANT_GC_KEEPS_PENDING
			PUT(of_old, k);
#endif
			domain[k] = DEAD;
			DROP(mapped, k);
			DROP(queued, k);
			DROP(helper, k)
		:: else
		fi
	}
	k = 0
}

inline osd_step(i)
{
	if
	/* A killed helper's last request arrives at last. */
	:: HAS(late_pending, i) ->
		say(i, "a late pending entry arrives");
		DROP(late_pending, i); PUT(pending, i)
	:: HAS(late_held, i) ->
		say(i, "a late held entry arrives");
		DROP(late_held, i); PUT(held, i)
	:: EXPIRES(i) -> say(i, "watch expires"); DROP(watch, i)
	:: REWATCHES(i) -> say(i, "watches again"); PUT(watch, i)
	/* The write lands, or fails at the fence; Invariant saw it coming. */
	:: FLUSHABLE(i) -> say(i, "queue empties"); DROP(queued, i)
	fi
}

/* Each a step of its own, so a gc that is killed half way is one too. */
inline gc_step(i)
{
	if
	:: UNMAPPABLE(i) -> say(i, "gc unmaps"); DROP(mapped, i); DROP(watch, i)
	:: STALE_HELD(i) -> say(i, "gc withdraws held"); assert(!ABLE(i)); DROP(held, i)
	:: STALE_PENDING(i) -> say(i, "gc withdraws pending"); DROP(pending, i)
	:: STALE_TOMBSTONE(i) -> say(i, "gc drops the tombstone"); DROP(tombstone, i)
	fi
}

#ifdef OTHERS_FENCE
/*
 * Any rbd client, krbd too, blocklists whom it takes for dead before it breaks
 * that one's own lock, for an hour.  Who is on the list keeps the expiry of
 * the first word: a later and longer one changes nothing (OSDMap.cc).
 */
inline rbd_lock_rm(i)
{
	HAS(held, i) && !HAS(watch, i) && !HAS(fence_mon, address[i]) ->
	say(i, "somebody else blocklists its address");
	PUT(fence_short, address[i]);
	PUT(fence_mon, address[i]);
	PUT(fence_osd, address[i])
}
#endif

#ifdef EXCLUSIVE_LOCK
#define OTHER_QUEUED(i)	((queued & (ALL - BIT(i))) != 0)
#define IN_THE_WAY(i, j) (HAS(queued, j) && !HAS(watch, j) && !FENCED(j))

/*
 * The first write: krbd asks for the image's lock.  An owner that has a watch
 * flushes and hands it over; krbd itself blocklists one that has none, for as
 * long as the monitors' default.
 */
inline krbd_step(i)
{
	if
	:: atomic {
		domain[i] == RUNNING && !HAS(handed, i) && !OTHER_QUEUED(i) ->
		PUT(handed, i)
	}
	:: atomic {
		domain[i] == RUNNING && !HAS(handed, i) && !HAS(cut, HOST(i)) &&
		IN_THE_WAY(i, 0) ->
		say(i, "krbd blocklists the source's address");
#ifdef OTHERS_FENCE
		PUT(fence_short, address[0]);
#endif
		PUT(fence_mon, address[0]);
		PUT(fence_osd, address[0]);
		PUT(handed, i)
	}
	fi
}
#endif

/*
 * When all stories are over and gc has done what it can.
 *
 * Whatever hosts are dead or cut off, the next one can have the image: what is
 * left is pending, or held by one that can be fenced.  With all hosts back
 * nothing is left.
 */
inline judge_the_end()
{
	assert(!SOME(STUCK));
	assert(up != HOSTS || cut != 0 ||
	       (pending | held | tombstone | mapped) == 0);
#ifdef SOMEBODY_WINS
	assert(won != 0 || !tried);
#endif
}

#ifdef MIGRATION
#define IDLE		0
#define COPYING		1
#define OVER		2
byte migration;
bit add_began;			/* the destination may start its add */
#define OVER_AND_OUT	(migration == OVER)
#else
#define OVER_AND_OUT	true
#endif

proctype World()
{
end:
	do
	:: atomic { osd_step(0) }
	:: atomic { osd_step(1) }
	:: atomic { gc_step(0) }
	:: atomic { gc_step(1) }
#if N > 2
	:: atomic { osd_step(2) }
	:: atomic { gc_step(2) }
#endif
#if N > 3
	:: atomic { osd_step(3) }
	:: atomic { gc_step(3) }
#endif
	/* OSDs learn of a new map sooner or later. */
	:: d_step { fence_osd != fence_mon -> fence_osd = fence_mon }
#ifdef MUTANT_FENCE_EXPIRES
	:: d_step {
		fence_osd != 0 && (won & TAKEOVER) ->
		printf("\nthe fence expires");
		fence_mon = 0;
		fence_osd = 0
	}
#endif
#ifdef OTHERS_FENCE
	:: atomic { rbd_lock_rm(0) }
	:: d_step {
		fence_short != 0 ->
		printf("\nthe fence of somebody else expires");
		fence_mon = fence_mon & (255 - fence_short);
		fence_osd = fence_osd & (255 - fence_short);
		fence_short = 0
	}
#endif
#ifdef EXCLUSIVE_LOCK
	:: krbd_step(0)
	:: krbd_step(1)
#endif
#if CUTS
#define CUT(h)	(cuts > 0 && HAS(CUT_HOSTS, h) && !HAS(cut, h))
	:: d_step { CUT(0) -> printf("\nhost 0 is cut off"); PUT(cut, 0); cuts-- }
	:: d_step { CUT(1) -> printf("\nhost 1 is cut off"); PUT(cut, 1); cuts-- }
	:: d_step { HAS(cut, 0) -> printf("\nhost 0 is back"); DROP(cut, 0) }
	:: d_step { HAS(cut, 1) -> printf("\nhost 1 is back"); DROP(cut, 1) }
#endif
#if POWER_CUTS
#define POWER_CUT(h) (power_cuts > 0 && HAS(POWER_HOSTS, h) && HAS(up, h))
	:: d_step { POWER_CUT(0) -> lose_power(0) }
	:: d_step { POWER_CUT(1) -> lose_power(1) }
	:: d_step { !HAS(up, 0) -> PUT(up, 0) }
	:: d_step { !HAS(up, 1) -> PUT(up, 1) }
#endif
	:: d_step {
		done == ALL && OVER_AND_OUT && !late_pending && !late_held &&
		!SOME(BUSY) -> judge_the_end()
	}
	od
}

#ifdef MIGRATION
/*
 * xl migrate of slot 0 to slot 1, both xl processes and the link in one.  What
 * the link carries goes on when a host is cut off from the cluster only.
 * Facts: xl_migrate.c; the source resumes on anything that fails before GO was
 * sent and on a failure that the destination reports, never otherwise.
 */
proctype Migration()
{
	if
	:: atomic {
		domain[0] == RUNNING ->
		printf("\nmigration begins");
		migration = COPYING
	}
	:: atomic { migration = OVER; goto out }
	fi;
#ifdef EARLY_DESTINATION
	/* xlrbd migrate: the destination has the disk before the copy begins. */
	add_began = 1;
	atomic {
		if
		:: migration = OVER; goto destroy_destination
		:: domain[1] == PAUSED
		:: domain[1] == DEAD -> migration = OVER; goto out
		fi
	};
#endif
	atomic {
		if
		:: domain[0] == RUNNING ->
			printf("\nmigration suspends the source");
			domain[0] = SUSPENDED;
			add_began = 1;
#ifdef QUEUE
			if
			:: PUT(queued, 0)
			:: true
			fi
#endif
		:: domain[0] != RUNNING ->
			migration = OVER;
			goto destroy_destination
		fi
	};
#ifdef DRAIN
	/* xlrbd migrate: waits until the source's device has nothing to do. */
	atomic {
		if
		:: !HAS(queued, 0)
		:: HAS(queued, 0) -> goto resume	/* too slow */
		fi
	};
#endif
	/* The destination's add. */
	atomic {
		if
		:: domain[1] == PAUSED		/* "ready" arrived */
		:: domain[1] == DEAD -> goto resume
		:: goto resume			/* link cut, its xl killed */
		:: migration = OVER; goto out	/* the source's xl killed */
		fi
	};
	/* The source renames its domain, if there still is one, and says GO. */
	atomic {
		if
		:: domain[0] == SUSPENDED
		:: domain[0] != SUSPENDED ->
			migration = OVER;
			goto destroy_destination
		:: goto resume			/* link cut before GO */
		fi
	};
	atomic {
		if
		:: domain[1] == PAUSED ->
			printf("\nmigration: GO, the destination runs");
			domain[1] = RUNNING
		/* Cannot unpause it: destroys it, then says so. */
		:: domain[1] == PAUSED -> domain[1] = DYING; goto failed
		:: domain[1] == DYING || domain[1] == DEAD -> goto failed
		/* GO is lost on the way: nobody knows, both stay as they are. */
		:: migration = OVER; goto out
		fi
	};
	atomic {
		migration = OVER;
		if
		:: domain[0] == SUSPENDED -> domain[0] = DYING
		:: else
		fi;
		goto out
	};
failed:
	atomic { domain[1] == DEAD };
resume:
	atomic {
		migration = OVER;
		if
		:: domain[0] == SUSPENDED ->
			printf("\nmigration fails, the source resumes");
			domain[0] = RUNNING
		:: else
		fi;
		goto out
	};
destroy_destination:
	atomic {
		if
		:: domain[1] == PAUSED -> domain[1] = DYING
		:: else
		fi
	};
out:
	skip
}
#endif
