// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The rules of who may write an image, as a Promela model.
 *
 * One image.  Every vbd that ever wants it is a slot 0..N-1, used once: a
 * reboot of a domain is another slot with the same UUID.  A slot's host, UUID
 * and rights are the -D flags of a scenario; see `run' for those, and
 * README.md for what is left out.  A rule that can be left out has a flag
 * MUTANT_...: the verifier must find something wrong then.
 *
 *   model.pml  what there is, and what must never be
 *   vbd.pml    the helper: add, takeover, remove, with a kill at every step
 *   world.pml  OSDs, kernels, hosts, gc, and xl's migration
 */

#ifndef N
#define N		3
#endif
#if N > 4
#error at most four slots
#endif

/* Scenario: host and UUID of each slot, and masks of slots. */
#ifndef H0
#define H0		0
#endif
#ifndef H1
#define H1		1
#endif
#ifndef H2
#define H2		2
#endif
#ifndef H3
#define H3		1
#endif
#ifndef U0
#define U0		1
#endif
#ifndef U1
#define U1		1
#endif
#ifndef U2
#define U2		1
#endif
#ifndef U3
#define U3		2
#endif
#ifndef INCOMING	/* named ...--incoming */
#define INCOMING	0
#endif
#ifndef TAKEOVER	/* takeover=fence */
#define TAKEOVER	0
#endif
/* How often, and to which hosts (masks), the world does harm. */
#ifndef KILLS
#define KILLS		0
#endif
#ifndef KILLABLE	/* whose helpers */
#define KILLABLE	15
#endif
#ifndef CUTS
#define CUTS		0
#endif
#ifndef CUT_HOSTS
#define CUT_HOSTS	1
#endif
#ifndef POWER_CUTS
#define POWER_CUTS	0
#endif
#ifndef POWER_HOSTS
#define POWER_HOSTS	1
#endif

#define PICK(i, a, b, c, d) \
	((i) == 0 -> (a) : ((i) == 1 -> (b) : ((i) == 2 -> (c) : (d))))
#define HOST(i)		PICK(i, H0, H1, H2, H3)
#define UUID(i)		PICK(i, U0, U1, U2, U3)

/* Sets of slots, or of hosts, are masks. */
#define BIT(i)		(1 << (i))
#define HAS(set, i)	(((set) >> (i)) & 1)
#define PUT(set, i)	set = set | BIT(i)
#define DROP(set, i)	set = set & (255 - BIT(i))
#define ALL		(BIT(N) - 1)
#define HOSTS		7

#if N == 2
#define SOME(p)		(p(0) || p(1))
#define SOME_PAIR(p)	(p(0, 1))
#elif N == 3
#define SOME(p)		(p(0) || p(1) || p(2))
#define SOME_PAIR(p)	(p(0, 1) || p(0, 2) || p(1, 2))
#else
#define SOME(p)		(p(0) || p(1) || p(2) || p(3))
#define SOME_PAIR(p)	(p(0, 1) || p(0, 2) || p(1, 2) || p(0, 3) || \
			 p(1, 3) || p(2, 3))
#endif

/*
 * What the OSD of the image's header object keeps.  A slot's entry is pending,
 * held, both for a moment of its promotion, or a tombstone.
 */
byte pending, held, tombstone;
byte watch;			/* whose map has a live watch there */
/* Operations that a killed helper sent, and that may yet arrive. */
byte late_pending, late_held;

/*
 * The blocklist names krbd clients, that is, addresses.  A client is called
 * after the slot that made it; all maps of a host share one.
 */
byte fence_mon;			/* the monitors know */
byte fence_osd;			/* every OSD knows, so nothing arrives */
#ifdef OTHERS_FENCE
byte fence_short;		/* by somebody else, for the default hour */
#endif
byte address[4];		/* of the client that slot maps with */

/* What the hosts' kernels and Xen keep. */
byte mapped;
byte queued;			/* in a map's queue: writes of the past */
#define NONE		0
#define BUILT		1	/* waits for its disk */
#define PAUSED		2	/* has it, arrived by migration, waits for GO */
#define RUNNING		3
#define SUSPENDED	4	/* migration source */
#define DYING		5
#define DEAD		6
byte domain[N];
byte helper;			/* a process is at work for it (its flock) */
byte lost;			/* was there when its host lost power */
byte up = HOSTS;
byte cut;			/* hosts without the cluster */
#ifdef EXCLUSIVE_LOCK
byte handed;			/* krbd's own lock was handed to it */
#endif
#ifdef MUTANT_RECORD_AFTER
byte rec_map, rec_held;		/* what /run knows */
#endif
#ifdef MUTANT_GC_BY_CLIENT
byte forgotten;			/* no record any more */
#endif
#ifdef MUTANT_GC_KEEPS_PENDING
byte of_old;			/* of a host's earlier boot */
#endif

byte kills = KILLS;		/* left to do */
byte cuts = CUTS;
byte power_cuts = POWER_CUTS;

byte done;			/* slots whose story is over */
byte won;			/* slots that ever got the disk */
#ifdef SOMEBODY_WINS
bit tried;
#endif
byte foes[N];			/* in conflict with it, by modes and joining */
bit flip;			/* whose cookies are lower */
#ifdef ANY_MODES
byte modes[N];
#define MODE(i)		modes[i]
#else
#define MODE(i)		W
#endif

#define R		0
#define W		1
#define R_SHARED	2
#define W_SHARED	3

/* xlrbd__lock_compatible() */
#define COMPATIBLE(a, b) ((a) == R_SHARED || (b) == R_SHARED || \
			  ((a) == R && (b) == R) || \
			  ((a) == W_SHARED && (b) == W_SHARED))
#define WRITES(i)	(MODE(i) == W || MODE(i) == W_SHARED)

/*
 * Who is able to write, whether it does or not.  A host that is cut off counts:
 * what it queues arrives when it is back, unless it is fenced by then.
 */
#ifdef EXCLUSIVE_LOCK
#define STARTED(i)	(domain[i] == RUNNING && HAS(handed, i))
#else
#define STARTED(i)	(domain[i] == RUNNING)
#endif
#define FENCED(i)	HAS(fence_osd, address[i])
#define ABLE(i)		((STARTED(i) || HAS(queued, i)) && \
			 HAS(mapped, i) && !FENCED(i))
#define CLASH(i, j)	(ABLE(i) && ABLE(j) && !COMPATIBLE(MODE(i), MODE(j)))

/* For who reads a counterexample; costs the verifier nothing. */
#define say(who, text)	printf("\n%d: ", who); printf(text)

#include "world.pml"
#include "vbd.pml"

/*
 * The first invariant, in every state: this must never be able to run.  Or a
 * witness: the verifier is asked to find that a scenario does get somewhere.
 */
#if defined(WITNESS_MIGRATED)
#define FOUND		(domain[1] == RUNNING && domain[0] == DEAD)
#elif defined(WITNESS_RESUMED)
#define FOUND		(domain[0] == RUNNING && domain[1] == DEAD && \
			 HAS(won, 1))
#elif defined(WITNESS_TAKEN_OVER)
#define FOUND		(domain[2] == RUNNING && domain[0] == RUNNING)
#elif defined(WITNESS_BARRED)
#define FOUND		(domain[2] == RUNNING && domain[0] == RUNNING && \
			 domain[1] == DEAD && add_began && !HAS(won, 1))
#elif defined(WITNESS_WORKS_AGAIN)
#define FOUND		(domain[1] == RUNNING && FENCED(0) && !FENCED(1))
#else
#define FOUND		SOME_PAIR(CLASH)
#endif

/* The cluster knows where every copy of a domain is, if only by a tombstone. */
#define UNKNOWN(i)	((domain[i] == RUNNING || domain[i] == SUSPENDED || \
			  domain[i] == PAUSED) && \
			 !HAS(held, i) && !HAS(tombstone, i))

active proctype Invariant()
{
end:
	atomic {
		if
		:: FOUND -> printf("\nfound\n"); assert(false)
#ifdef EVERY_COPY_KNOWN
		:: SOME(UNKNOWN) -> assert(!SOME(UNKNOWN))
#endif
		fi
	}
}

#ifdef ANY_MODES
inline choose_mode(i)
{
	if
	:: modes[i] = R
	:: modes[i] = W
	:: modes[i] = R_SHARED
	:: modes[i] = W_SHARED
	fi
}
#endif

/*
 * conflicts(): symmetrical but for the one who comes by migration, who joins
 * those of its own UUID.
 */
#if defined(MUTANT_JOIN_ANY_UUID)
#define JOINS(i, j)	HAS(INCOMING, i)
#elif defined(MUTANT_JOIN_NOT_INCOMING)
#define JOINS(i, j)	(UUID(i) == UUID(j))
#else
#define JOINS(i, j)	(HAS(INCOMING, i) && UUID(i) == UUID(j))
#endif

inline find_foes()
{
	byte i, j;

	for (i : 0 .. N - 1) {
		for (j : 0 .. N - 1) {
			if
			:: i != j && !COMPATIBLE(MODE(i), MODE(j)) &&
			   !JOINS(i, j) -> PUT(foes[i], j)
			:: else
			fi
		}
	}
	i = 0;
	j = 0
}

init {
	atomic {
		if
		:: flip = 0
		:: flip = 1
		fi;
#ifdef ANY_MODES
		choose_mode(0);
		choose_mode(1);
#if N > 2
		choose_mode(2);
#endif
#endif
		d_step { find_foes() };
#ifdef SETTLED
		/* Slot 0 has been running for long: smaller, for four slots. */
		PUT(held, 0);
		PUT(mapped, 0);
		PUT(watch, 0);
		PUT(won, 0);
		domain[0] = RUNNING;
#endif
		run World();
#ifdef MIGRATION
		run Migration();
#endif
		run Vbd(0);
		run Vbd(1);
#if N > 2
		run Vbd(2);
#endif
#if N > 3
		run Vbd(3);
#endif
	}
}
