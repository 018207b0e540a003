// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Who may hold an image.
 *
 * Everybody registers first and looks second: an entry is added to a shared
 * cls_lock whatever its mode, then all entries are listed.  The OSD puts the
 * two steps of two attachers in one order, so at least one of them sees the
 * other and two that conflict cannot both go on.
 *
 * An entry is pending until its disk is mapped, then held.  Who conflicts with
 * a held entry is refused.  Of two pending entries the one with the lower
 * cookie waits for the other to decide and the higher one withdraws, so that
 * of two simultaneous starts one wins.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "internal.h"

/* What rbd(8) shows; krbd keeps its own lock there on exclusive-lock images. */
#define LOCK_RBD	"rbd_lock"
#define LOCK_OWN	"xlrbd"
/* How krbd and librbd mark that lock (linux: RBD_LOCK_TAG). */
#define TAG_MANAGED	"internal"
/*
 * No helper lives longer: libxl kills it after 40 s.  Breaking a pending entry
 * is safe at any age, since its owner looks for it again before it uses the
 * disk; the age only saves a slow one from having to give up.
 */
#define PENDING_LIFE_S	60

const char *const xlrbd__lock_names[2] = { LOCK_RBD, LOCK_OWN };

const char *xlrbd__lock_name(const struct xlrbd__image *image)
{
	return xlrbd__image_has_exclusive_lock(image) ? LOCK_OWN : LOCK_RBD;
}

static const char *doing(enum xlrbd_mode mode)
{
	switch (mode) {
	case XLRBD_MODE_R:
		return "reading";
	case XLRBD_MODE_W:
		return "writing";
	case XLRBD_MODE_R_SHARED:
		return "shared reading (r!)";
	case XLRBD_MODE_W_SHARED:
		return "shared writing (w!)";
	case XLRBD_MODE_UNSET:
		break;
	}
	return "use";
}

int xlrbd__lock_refuse(struct xlrbd_ctx *ctx, const char *what,
		       const struct xlrbd__cookie *other, const char *next)
{
	char domain[sizeof(other->domain)];
	char since[XLRBD__TIME_MAX];

	/* By its name from before it arrived, which it has again since. */
	snprintf(domain, sizeof(domain), "%.*s",
		 (int)xlrbd__own_name_length(other->domain), other->domain);
	xlrbd__time_text(other->time, since);
	if (other->state == XLRBD_FENCED)
		return xlrbd__fail(ctx, -EBUSY,
				   "%s: taken over from domain %s (%s) on host %s at %s; what migrates now may be that old copy: run `block-rbd gc` on host %s first, see TAKEOVER in block-rbd(8)",
				   what, domain, other->uuid,
				   other->host.name, since, other->host.name);
	if (other->state == XLRBD_PENDING)
		return xlrbd__fail(ctx, -EBUSY,
				   "%s: being attached for %s by domain %s (%s) on host %s at this moment; one of you may have it: try again if the other fails",
				   what, doing(other->mode), domain,
				   other->uuid, other->host.name);
	return xlrbd__fail(ctx, -EBUSY,
			   "%s: held for %s by domain %s (%s) on host %s since %s; %s",
			   what, doing(other->mode), domain,
			   other->uuid, other->host.name, since, next);
}

static int refuse(struct xlrbd_ctx *ctx, const char *what,
		  const struct xlrbd__cookie *other)
{
	return xlrbd__lock_refuse(ctx, what, other,
				  "shut that domain down first, or see MODES and TAKEOVER in block-rbd(8)");
}

static int refuse_foreign(struct xlrbd_ctx *ctx, const char *what,
			  const char *name,
			  const struct xlrbd__lockers *lockers, size_t i)
{
	return xlrbd__fail(ctx, -EBUSY,
			   "%s: locked by somebody else: %s has %s entry \"%s\" (tag \"%s\") from %s at %s; see `rbd lock ls` and `rbd lock rm`",
			   what, name, lockers->exclusive ? "exclusive" :
			   "shared", lockers->v[i].cookie, lockers->tag,
			   lockers->v[i].client, lockers->v[i].addr);
}

/* The worst counts, so whoever is pending decides before the held ones go. */
enum verdict { GRANTED, HELD, WAIT, LOOK_AGAIN };

/* All that one round of looking needs. */
struct round {
	struct xlrbd_ctx *ctx;
	struct xlrbd__ceph *ceph;
	const struct xlrbd__image *image;
	const struct xlrbd__cookie *me;
	const struct xlrbd__lock *lock;
	const char *what;
	bool past_held;			/* else a held one refuses at once */
	struct xlrbd__cookie waits_for;	/* valid with WAIT */
};

static int break_stale(struct round *round, const char *name,
		       const struct xlrbd__locker *locker,
		       const struct xlrbd__cookie *other)
{
	int r;

	xlrbd__log(round->ctx, LOG_NOTICE,
		   "%s: breaking the entry of an attach that host %s never finished",
		   round->what, other->host.name);
	r = xlrbd__ceph_lock_break(round->ceph, round->image, name,
				   locker->client, locker->cookie);
	if (r < 0 && r != -ENOENT)
		return xlrbd__ceph_fail(round->ctx, round->ceph, r,
					"break a stale entry of", round->what);
	return LOOK_AGAIN;
}

/* A verdict, or a negative errno value with its sentence. */
static int judge(struct round *round, const char *name,
		 const struct xlrbd__lockers *lockers, size_t i)
{
	const struct xlrbd__locker *locker = &lockers->v[i];
	struct xlrbd__cookie other;
	int order;

	if (!strcmp(locker->client, round->lock->client) &&
	    !strcmp(locker->cookie, round->lock->pending))
		return GRANTED;
	if (!xlrbd__cookie_parse(locker->cookie, &other))
		return refuse_foreign(round->ctx, round->what, name, lockers,
				      i);
	if (xlrbd__lock_bars(&other, round->me))
		return refuse(round->ctx, round->what, &other);
	if (!xlrbd__lock_conflicts(round->me, &other))
		return GRANTED;
	if (other.state == XLRBD_HELD)
		return round->past_held ? HELD :
		       refuse(round->ctx, round->what, &other);
	if (other.time + PENDING_LIFE_S < round->me->time)
		return break_stale(round, name, locker, &other);
	order = strcmp(round->lock->pending, locker->cookie);
	if (!order)
		order = strcmp(round->lock->client, locker->client);
	if (order > 0)
		return refuse(round->ctx, round->what, &other);
	round->waits_for = other;
	return WAIT;
}

/* Judges everybody under one lock name; the worst verdict counts. */
static int look_at(struct round *round, const char *name)
{
	struct xlrbd__lockers lockers;
	int verdict = GRANTED;
	size_t i;
	int r;

	r = xlrbd__ceph_lock_list(round->ceph, round->image, name, &lockers);
	if (r < 0)
		return xlrbd__ceph_fail(round->ctx, round->ceph, r,
					"list the lock entries of",
					round->what);
	if (!lockers.n || !strcmp(lockers.tag, TAG_MANAGED))
		r = GRANTED;
	else if (lockers.exclusive || strcmp(lockers.tag, XLRBD__LOCK_TAG) != 0)
		r = refuse_foreign(round->ctx, round->what, name, &lockers, 0);
	for (i = 0; r >= 0 && i < lockers.n; i++) {
		if (!strcmp(lockers.tag, TAG_MANAGED))
			break;
		r = judge(round, name, &lockers, i);
		if (r > verdict)
			verdict = r;
	}
	xlrbd__lockers_dispose(&lockers);
	return r < 0 ? r : verdict;
}

/*
 * Looks under both names: an image whose exclusive-lock feature was switched
 * while attached has entries under the other one.
 */
static int look(struct round *round)
{
	int rbd, own;

	rbd = look_at(round, LOCK_RBD);
	if (rbd < 0)
		return rbd;
	own = look_at(round, LOCK_OWN);
	return own < 0 || own > rbd ? own : rbd;
}

static int wait_for_verdict(struct round *round,
			    const struct xlrbd__deadline *deadline)
{
	unsigned int pause_ms = 10;
	int verdict;

	for (;;) {
		verdict = look(round);
		if (verdict <= HELD)
			return verdict;
		if (verdict == LOOK_AGAIN)
			continue;
		if (!xlrbd__deadline_pause(deadline, &pause_ms, 200))
			return refuse(round->ctx, round->what,
				      &round->waits_for);
	}
}

void xlrbd__lock_prepare(struct xlrbd__lock *lock, struct xlrbd__ceph *ceph,
			 const struct xlrbd__image *image,
			 const struct xlrbd__cookie *me)
{
	memset(lock, 0, sizeof(*lock));
	snprintf(lock->name, sizeof(lock->name), "%s",
		 xlrbd__lock_name(image));
	xlrbd__ceph_client(ceph, lock->client);
	xlrbd__cookie_format(me, lock->pending);
}

/* Forgets @cookie again if it certainly is not there. */
static int add_entry(struct xlrbd__ceph *ceph,
		     const struct xlrbd__image *image,
		     const struct xlrbd__lock *lock, char *cookie)
{
	int r = xlrbd__ceph_lock_shared(ceph, image, lock->name, XLRBD__LOCK_TAG,
					cookie);

	/* No answer may mean that only the answer got lost. */
	if (r < 0 && r != -ETIMEDOUT)
		cookie[0] = '\0';
	return r;
}

int xlrbd__lock_register(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			 const struct xlrbd__image *image,
			 const struct xlrbd__cookie *me, const char *what,
			 const struct xlrbd__deadline *deadline,
			 struct xlrbd__lock *lock)
{
	struct round round = {
		.ctx = ctx, .ceph = ceph, .image = image, .me = me,
		.lock = lock, .what = what,
	};
	int rc;

	rc = add_entry(ceph, image, lock, lock->pending);
	/* Somebody else's kind of lock: looking names it. */
	if (rc == -EBUSY)
		rc = look(&round) < 0 ? -EBUSY :
		     xlrbd__fail(ctx, rc,
				 "%s: was locked by somebody else a moment ago; try again",
				 what);
	else if (rc < 0)
		rc = xlrbd__ceph_fail(ctx, ceph, rc, "lock", what);
	else
		rc = wait_for_verdict(&round, deadline);
	return rc;
}

int xlrbd__lock_settle(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
		       const struct xlrbd__image *image,
		       const struct xlrbd__cookie *me, const char *what,
		       const struct xlrbd__deadline *deadline,
		       const struct xlrbd__lock *lock)
{
	struct round round = {
		.ctx = ctx, .ceph = ceph, .image = image, .me = me,
		.lock = lock, .what = what, .past_held = true,
	};

	return wait_for_verdict(&round, deadline);
}

static int still_registered(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			    const struct xlrbd__image *image,
			    const char *what, const struct xlrbd__lock *lock)
{
	struct xlrbd__lockers lockers;
	bool found = false;
	size_t i;
	int r;

	r = xlrbd__ceph_lock_list(ceph, image, lock->name, &lockers);
	if (r < 0)
		return xlrbd__ceph_fail(ctx, ceph, r,
					"list the lock entries of", what);
	for (i = 0; i < lockers.n; i++)
		if (!strcmp(lockers.v[i].client, lock->client) &&
		    !strcmp(lockers.v[i].cookie, lock->pending))
			found = true;
	xlrbd__lockers_dispose(&lockers);
	if (!found)
		return xlrbd__fail(ctx, -EBUSY,
				   "%s: this attach was taken for dead and its lock entry broken; try again",
				   what);
	return 0;
}

void xlrbd__lock_prepare_held(struct xlrbd__lock *lock,
			      const struct xlrbd__cookie *me)
{
	xlrbd__cookie_format(me, lock->held);
}

int xlrbd__lock_promote(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			const struct xlrbd__image *image, const char *what,
			struct xlrbd__lock *lock)
{
	int rc;

	rc = add_entry(ceph, image, lock, lock->held);
	if (rc < 0)
		return xlrbd__ceph_fail(ctx, ceph, rc, "hold the lock of",
					what);
	/*
	 * The second look: whoever broke the pending entry either listed
	 * before the held one was added, and then it is gone here, or after,
	 * and then has seen it.
	 */
	rc = still_registered(ctx, ceph, image, what, lock);
	if (rc < 0)
		return rc;
	rc = xlrbd__ceph_lock_break(ceph, image, lock->name, lock->client,
				    lock->pending);
	if (rc < 0 && rc != -ENOENT)
		return xlrbd__ceph_fail(ctx, ceph, rc,
					"drop the pending entry of", what);
	lock->pending[0] = '\0';
	return 0;
}

static int withdraw_one(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			const struct xlrbd__image *image,
			const struct xlrbd__lock *lock, const char *what,
			char *cookie)
{
	int r;

	if (!cookie[0])
		return 0;
	r = xlrbd__ceph_lock_break(ceph, image, lock->name, lock->client,
				   cookie);
	if (r < 0 && r != -ENOENT)
		return xlrbd__ceph_fail(ctx, ceph, r,
					"withdraw the lock entry of", what);
	cookie[0] = '\0';
	return 0;
}

int xlrbd__lock_withdraw(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			 const struct xlrbd__image *image,
			 struct xlrbd__lock *lock, const char *what)
{
	int held, pending;

	/*
	 * By breaking: unlocking is for the client that locked, and for
	 * remove that process is long gone.
	 */
	held = withdraw_one(ctx, ceph, image, lock, what, lock->held);
	pending = withdraw_one(ctx, ceph, image, lock, what, lock->pending);
	return held < 0 ? held : pending;
}
