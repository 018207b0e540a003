// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Taking an image from a host that is dead, so that it stays dead for this
 * image even if it is not.
 *
 * The order matters (tests/model): whoever is pending decides first; then all
 * holders are looked at before the first is fenced; each is fenced before its
 * entry goes; the tombstone is there before the entry is gone; and afterwards
 * everybody is looked at again, as somebody may have come by migration.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "internal.h"

/*
 * A fence must outlive the zombie: after Ceph's default of an hour, a domain
 * that still runs there could write again.
 */
#define FENCE_S		((int64_t)5 * 365 * 24 * 3600)

/* A disk that the fence cuts off. */
struct victim {
	char *image;
	struct xlrbd__cookie cookie;
};

struct takeover {
	struct xlrbd_ctx *ctx;
	struct xlrbd__ceph *ceph;
	const struct xlrbd__image *image;
	const struct xlrbd__cookie *me;
	const char *what;
	xlrbd_confirm_fn *confirm;
	void *data;
	struct xlrbd__entries foes;	/* who holds the image against us */
	struct victim *victims;
	size_t n_victims;
};

static int refuse(struct takeover *t, const struct xlrbd__cookie *foe,
		  const char *where)
{
	char next[512];

	snprintf(next, sizeof(next),
		 "not taken over: that host is alive, its kernel's client %s watches %s; a dead host's watch ends 30 s after its death; shut the domain down there, or try again then",
		 foe->addr, where);
	return xlrbd__lock_refuse(t->ctx, t->what, foe, next);
}

/* Who only reads has no watch, and no way to do harm either. */
static int check_dead(struct takeover *t, const struct xlrbd__cookie *foe)
{
	int watched;

	if (xlrbd__krbd_has_client(foe->addr))
		return xlrbd__lock_refuse(t->ctx, t->what, foe,
					  "not taken over: that is this very host; see `xl list`, then `block-rbd gc`");
	watched = xlrbd__is_watched(t->ctx, t->ceph, t->image, t->what,
				    foe->addr);
	if (watched > 0)
		return refuse(t, foe, t->what);
	return watched;
}

static int find_foes(struct takeover *t)
{
	struct xlrbd__entry entry;
	size_t i, n = 0;
	int rc;

	rc = xlrbd__entries_list(t->ctx, t->ceph, t->image, t->what, &t->foes);
	if (rc < 0)
		return rc;
	/* To the front; the rest is disposed of with them. */
	for (i = 0; i < t->foes.n; i++) {
		entry = t->foes.v[i];
		if (entry.cookie.state != XLRBD_HELD ||
		    !xlrbd__lock_conflicts(t->me, &entry.cookie))
			continue;
		t->foes.v[i] = t->foes.v[n];
		t->foes.v[n++] = entry;
	}
	for (i = n; i < t->foes.n; i++) {
		free(t->foes.v[i].client);
		free(t->foes.v[i].text);
	}
	t->foes.n = n;
	for (i = 0; !rc && i < n; i++)
		rc = check_dead(t, &t->foes.v[i].cookie);
	return rc;
}

/* The foe whose client is @addr, or NULL. */
static const struct xlrbd__cookie *foe_at(const struct takeover *t,
					  const char *addr)
{
	size_t i;

	for (i = 0; i < t->foes.n; i++)
		if (!strcmp(t->foes.v[i].cookie.addr, addr))
			return &t->foes.v[i].cookie;
	return NULL;
}

static int add_victim(struct takeover *t, const char *image,
		      const struct xlrbd__cookie *cookie)
{
	struct victim *more;

	more = realloc(t->victims, (t->n_victims + 1) * sizeof(*more));
	if (!more)
		return xlrbd__fail_nomem(t->ctx);
	t->victims = more;
	more[t->n_victims].image = strdup(image);
	more[t->n_victims].cookie = *cookie;
	/* Its own name, also while it migrates. */
	more[t->n_victims].cookie.domain[
		xlrbd__own_name_length(cookie->domain)] = '\0';
	if (!more[t->n_victims++].image)
		return xlrbd__fail_nomem(t->ctx);
	return 0;
}

/* Its entries whose clients the fence will meet; none may be alive. */
static int judge_image(struct takeover *t, struct xlrbd__ceph *ceph,
		       const struct xlrbd__found *found)
{
	size_t i;
	int rc = 0;

	for (i = 0; !rc && i < found->entries.n; i++) {
		const struct xlrbd__cookie *cookie =
			&found->entries.v[i].cookie;
		const struct xlrbd__cookie *foe =
			cookie->state == XLRBD_HELD ? foe_at(t, cookie->addr) :
						       NULL;

		if (!foe)
			continue;
		rc = xlrbd__ceph_open_pool(t->ctx, ceph, &found->image);
		if (!rc)
			rc = xlrbd__is_watched(t->ctx, ceph, &found->image,
					       found->what, cookie->addr);
		if (rc > 0)
			rc = refuse(t, foe, found->what);
		else if (!rc)
			rc = add_victim(t, found->what, cookie);
	}
	return rc;
}

static bool is_ours(const struct takeover *t, const struct xlrbd__found *found)
{
	return found->image.pool_id == t->image->pool_id &&
	       !strcmp(found->image.ns, t->image->ns) &&
	       !strcmp(found->image.id, t->image->id);
}

/* Sets @ours if the image that is to be taken is among them. */
static int judge_images(struct takeover *t, struct xlrbd__ceph *ceph,
			const struct xlrbd_spec *where, bool *ours)
{
	struct xlrbd__scan scan;
	size_t i;
	int rc;

	rc = xlrbd__scan(t->ctx, ceph, where, XLRBD__SCAN_ENTRIES, &scan);
	for (i = 0; !rc && i < scan.n; i++) {
		const struct xlrbd__found *found = &scan.v[i];

		*ours |= is_ours(t, found);
		if (!found->rc)
			rc = judge_image(t, ceph, found);
		else if (!xlrbd__found_is_not_ours(found))
			rc = xlrbd__fail(t->ctx, found->rc, "%s",
					 found->trouble);
		else
			xlrbd__log(t->ctx, LOG_INFO,
				   "pool %s: not looked at for disks of the host that is to be fenced: no access",
				   found->what);
	}
	xlrbd__scan_dispose(&scan);
	return rc;
}

static int find_victims(struct takeover *t)
{
	const struct xlrbd_spec everywhere = { .pool = NULL }, here = {
		.pool = (char *)t->image->pool,
		.ns = t->image->ns[0] ? (char *)t->image->ns : NULL,
	};
	struct xlrbd__ceph *ceph;
	bool ours = false;
	int rc;

	rc = xlrbd__ceph_share(t->ctx, t->ceph, &ceph);
	if (rc < 0)
		return rc;
	rc = judge_images(t, ceph, &everywhere, &ours);
	/* Whose cap is for a namespace may not be told that there is one. */
	if (!rc && !ours)
		rc = judge_images(t, ceph, &here, &ours);
	xlrbd__ceph_close(t->ctx, ceph);
	return rc;
}

/* Tells what will be cut off, and asks whether that is wanted. */
static int ask(struct takeover *t)
{
	struct xlrbd_holder *holders;
	bool wanted = true;
	size_t i;

	holders = calloc(t->n_victims + 1, sizeof(*holders));
	if (!holders)
		return xlrbd__fail_nomem(t->ctx);
	for (i = 0; i < t->n_victims; i++) {
		const struct victim *v = &t->victims[i];

		holders[i] = (struct xlrbd_holder){
			.image = v->image, .snap = v->cookie.snap,
			.mode = v->cookie.mode, .state = v->cookie.state,
			.life = xlrbd__mode_writes(v->cookie.mode) ?
				XLRBD_LIFE_SILENT : XLRBD_LIFE_UNKNOWN,
			.domain = v->cookie.domain, .uuid = v->cookie.uuid,
			.domid = v->cookie.domid, .devid = v->cookie.devid,
			.host = v->cookie.host.name, .address = v->cookie.addr,
			.since = v->cookie.time,
		};
	}
	if (t->confirm)
		wanted = t->confirm(t->data, holders, t->n_victims);
	free(holders);
	if (!wanted)
		return xlrbd__fail(t->ctx, -ECANCELED,
				   "%s: not taken over: the fence was not wanted",
				   t->what);
	for (i = 0; i < t->n_victims; i++)
		xlrbd__log(t->ctx, LOG_NOTICE,
			   "%s: takeover fences client %s of host %s, and with it %s of domain %s (%s)",
			   t->what, t->victims[i].cookie.addr,
			   t->victims[i].cookie.host.name,
			   t->victims[i].image, t->victims[i].cookie.domain,
			   t->victims[i].cookie.uuid);
	return 0;
}

/* All are fenced before the first entry goes. */
static int fence_and_bury(struct takeover *t)
{
	size_t i;
	int rc = 0;

	for (i = 0; !rc && i < t->foes.n; i++)
		rc = xlrbd__ceph_fence(t->ctx, t->ceph,
				       t->foes.v[i].cookie.addr, FENCE_S);
	for (i = 0; !rc && i < t->foes.n; i++)
		rc = xlrbd__entry_bury(t->ctx, t->ceph, t->image, t->what,
				       &t->foes.v[i]);
	return rc;
}

static int evict(struct takeover *t)
{
	size_t i;
	int rc;

	rc = find_foes(t);
	if (!rc && t->foes.n)
		rc = find_victims(t);
	if (!rc && t->foes.n)
		rc = ask(t);
	if (!rc)
		rc = fence_and_bury(t);
	for (i = 0; i < t->n_victims; i++)
		free(t->victims[i].image);
	free(t->victims);
	t->victims = NULL;
	t->n_victims = 0;
	xlrbd__entries_dispose(&t->foes);
	return rc;
}

int xlrbd__takeover(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
		    const struct xlrbd__image *image,
		    const struct xlrbd__cookie *me, const char *what,
		    const struct xlrbd__deadline *deadline,
		    const struct xlrbd__lock *lock, xlrbd_confirm_fn *confirm,
		    void *data)
{
	struct takeover t = {
		.ctx = ctx, .ceph = ceph, .image = image, .me = me,
		.what = what, .confirm = confirm, .data = data,
	};
	int rc = 0;

	while (!rc && xlrbd__deadline_left(deadline)) {
		rc = xlrbd__lock_settle(ctx, ceph, image, me, what, deadline,
					lock);
		if (rc <= 0)
			return rc;
		rc = evict(&t);
	}
	if (!rc)
		rc = xlrbd__fail(ctx, -ETIMEDOUT,
				 "%s: not taken over in time; what was fenced stays fenced: try again",
				 what);
	return rc;
}

/* Nobody's domain: conflicts with all who write, or want the image still. */
static int make_cookie(struct xlrbd_ctx *ctx, enum xlrbd_mode mode,
		       struct xlrbd__cookie *me)
{
	memset(me, 0, sizeof(*me));
	me->mode = mode ? mode : XLRBD_MODE_W;
	me->time = time(NULL);
	strcpy(me->uuid, XLRBD__NO_UUID);
	strcpy(me->domain, "takeover");
	return xlrbd__host_read(ctx, &me->host);
}

int xlrbd_takeover(struct xlrbd_ctx *ctx, const struct xlrbd_spec *spec,
		   xlrbd_confirm_fn *confirm, void *data)
{
	char *what = spec->image ? xlrbd__spec_name(spec) : NULL;
	struct xlrbd__ceph *ceph = NULL;
	struct xlrbd__deadline deadline;
	struct xlrbd__lock lock = { .name = "" };
	struct xlrbd__image image;
	struct xlrbd__cookie me;
	int rc;

	xlrbd__begin(ctx);
	if (!spec->image)
		return xlrbd__fail(ctx, -EINVAL,
				   "target: no image name; which one is to be taken?");
	if (!what)
		return xlrbd__fail_nomem(ctx);
	xlrbd__deadline_set(&deadline, (spec->timeout_s ? spec->timeout_s :
				       XLRBD_TIMEOUT_DEFAULT) * 1000);
	rc = make_cookie(ctx, spec->mode, &me);
	if (!rc)
		rc = xlrbd__ceph_connect(ctx, spec, &deadline, &ceph);
	if (!rc)
		rc = xlrbd__ceph_open_image(ctx, ceph, spec, what, &image);
	if (rc < 0)
		goto out;
	xlrbd__lock_prepare(&lock, ceph, &image, &me);
	rc = xlrbd__lock_register(ctx, ceph, &image, &me, what, &deadline,
				  &lock);
	if (rc == -EBUSY && lock.pending[0]) {
		xlrbd__begin(ctx);
		rc = xlrbd__takeover(ctx, ceph, &image, &me, what, &deadline,
				     &lock, confirm, data);
	}
	if (xlrbd__lock_withdraw(ctx, ceph, &image, &lock, what) < 0)
		xlrbd__log(ctx, LOG_ERR, "%s: own entry left", what);
out:
	xlrbd__ceph_close(ctx, ceph);
	free(what);
	return rc;
}
