// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What an installation can have wrong, tried out one after the other.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

/* No image that is being made: domains have no blank in their names. */
#define SCRATCH		"xlrbd check"
/* An address for documentation (RFC 5737), so nobody's. */
#define NOBODY		"192.0.2.1:0/1"
/* Longer than it takes to read it back. */
#define FENCE_S		20
/* As much as Ceph's own monitors put up with is nothing to us. */
#define SKEW_S		30
/* How long a monitor may take to accept a connection. */
#define REACH_MS	3000
/* libxl kills block-rbd after so long (xen: libxl_internal.h). */
#define HOTPLUG_S	40

struct checkup {
	struct xlrbd_ctx *ctx;
	const struct xlrbd_spec *pool;
	xlrbd_check_fn *fn;
	void *data;
	struct xlrbd__ceph *ceph;
	struct xlrbd__image in;		/* the pool, once it is open */
	int64_t connect_ms;		/* what that took */
	int trouble;
	char detail[512];		/* of what is well */
};

/* Each is tried with a clean slate; the library's sentence is the trouble. */
static void report(struct checkup *c, const char *what, int rc)
{
	c->fn(c->data, what, rc >= 0, rc < 0 ? xlrbd_error(c->ctx) : c->detail);
	c->trouble += rc < 0;
	c->detail[0] = '\0';
	xlrbd__begin(c->ctx);
}

static int check_module(struct checkup *c)
{
	const struct xlrbd__image none = { .features = 0 };

	return xlrbd__krbd_check(c->ctx, &none, false, "an image");
}

static int check_backend(struct checkup *c)
{
	if (!access("/sys/bus/xen-backend/drivers/vbd", F_OK))
		return 0;
	return xlrbd__fail(c->ctx, -ENODEV,
			   "the kernel's block backend is not loaded; run `modprobe xen-blkback`");
}

static int check_xenstore(struct checkup *c)
{
	struct xlrbd__store *store;
	int rc = xlrbd__store_open(c->ctx, &store);

	if (!rc)
		xlrbd__store_close(store);
	return rc;
}

static int check_cluster(struct checkup *c)
{
	int rc = xlrbd__ceph_enter(c->ctx, c->ceph, c->pool, &c->in);

	snprintf(c->detail, sizeof(c->detail), "%s, pool %s, as %s",
		 c->in.fsid, c->in.pool, xlrbd__ceph_entity(c->ceph));
	return rc;
}

static unsigned int timeout_of(const struct xlrbd_spec *pool)
{
	return pool->timeout_s ? pool->timeout_s : XLRBD_TIMEOUT_DEFAULT;
}

/* A disk is attached within its timeout=, or not at all. */
static int check_time(struct checkup *c)
{
	unsigned int timeout_s = timeout_of(c->pool);

	snprintf(c->detail, sizeof(c->detail),
		 "connected in %" PRId64 " ms; a disk has %u s (timeout=), and libxl waits for %u s",
		 c->connect_ms, timeout_s, HOTPLUG_S);
	if (c->connect_ms * 3 < timeout_s * 1000LL)
		return 0;
	return xlrbd__fail(c->ctx, -ETIME,
			   "connecting alone took %" PRId64 " ms, and a disk has %u s (timeout=): see `ceph -s`, and whether all monitors in mon_host of ceph.conf are there",
			   c->connect_ms, timeout_s);
}

/* librados needs one of them, and may speak to another port than the kernel. */
static int check_monitors(struct checkup *c)
{
	struct xlrbd__access access;
	char silent[256];
	unsigned int answer;
	int rc;

	rc = xlrbd__access_find(c->ctx, c->ceph, c->pool, &access);
	if (rc < 0)
		return rc;
	answer = xlrbd__reach(access.monitors, REACH_MS, silent,
			      sizeof(silent));
	snprintf(c->detail, sizeof(c->detail), "%s", access.monitors);
	xlrbd__access_wipe(&access);
	if (!silent[0])
		return 0;
	return xlrbd__fail(c->ctx, -EHOSTUNREACH,
			   "%s, where the kernel will look for %s, takes no connection; start that monitor, or let it through the firewalls%s",
			   silent, answer ? "a monitor" : "all of them",
			   strstr(silent, ":6789") ?
			   "; for port 3300 instead: map=ms_mode=prefer-crc" :
			   "");
}

/* Whoever reads the key can do to the images whatever this host can. */
static int check_keyring(struct checkup *c)
{
	char paths[1024], *rest = paths, *path;
	struct stat st;

	xlrbd__ceph_conf(c->ceph, "keyring", paths, sizeof(paths));
	while ((path = strsep(&rest, ",; \t"))) {
		if (!*path || stat(path, &st) < 0)
			continue;
		snprintf(c->detail, sizeof(c->detail), "%s", path);
		if (st.st_mode & S_IRWXO)
			return xlrbd__fail(c->ctx, -EPERM,
					   "%s is open to everybody on this host; run `chmod o= %s`",
					   path, path);
		return 0;
	}
	return 0;
}

static int check_full(struct checkup *c)
{
	c->in.data_pool_id = -1;
	return xlrbd__pool_check_full(c->ctx, c->ceph, &c->in);
}

/* What attaching a disk does to an image's header, on an object of our own. */
static int check_locking(struct checkup *c)
{
	int64_t theirs = 0, ours;
	int r;

	r = xlrbd__ceph_note_lock(c->ceph, SCRATCH, XLRBD_TIMEOUT_MAX);
	if (!r)
		r = xlrbd__ceph_note_write(c->ceph, SCRATCH, "-");
	ours = time(NULL);
	if (!r)
		r = xlrbd__ceph_note_time(c->ceph, SCRATCH, &theirs);
	if (!r)
		r = xlrbd__ceph_note_remove(c->ceph, SCRATCH);
	if (r == -EBUSY)
		return xlrbd__fail(c->ctx, r,
				   "another check is trying them in %s, or was killed at that; try again in %d s",
				   c->in.pool, XLRBD_TIMEOUT_MAX);
	if (r < 0)
		return xlrbd__ceph_fail(c->ctx, c->ceph, r,
					"lock and write an object in",
					c->in.pool);
	snprintf(c->detail, sizeof(c->detail), "clock %+" PRId64 " s",
		 ours - theirs);
	if (llabs(ours - theirs) > SKEW_S)
		return xlrbd__fail(c->ctx, -ETIME,
				   "the clocks of this host and of the cluster differ by %" PRId64 " s; see timedatectl(1)",
				   ours - theirs);
	return 0;
}

/* What looking at all images of the pool finds. */
struct images {
	size_t n, unlocked;
	const char *first;	/* without exclusive-lock */
};

static int take_image(struct checkup *c, const struct xlrbd__found *found,
		      struct images *images)
{
	if (found->rc)
		return xlrbd__fail(c->ctx, found->rc, "%s", found->trouble ?
				   found->trouble : "out of memory");
	/* Deleted meanwhile. */
	if (!found->image.name[0])
		return 0;
	images->n++;
	if (!xlrbd__image_has_exclusive_lock(&found->image) &&
	    !images->unlocked++)
		images->first = found->what;
	return xlrbd__krbd_check(c->ctx, &found->image, false, found->what);
}

/* Can this kernel map what is there? */
static int check_images(struct checkup *c)
{
	const struct xlrbd_spec all = { .pool = c->in.pool, .ns = c->pool->ns };
	struct images images = { 0, 0, NULL };
	struct xlrbd__scan scan;
	size_t i;
	int n, rc;

	rc = xlrbd__scan(c->ctx, c->ceph, &all, XLRBD__SCAN_FEATURES, &scan);
	if (rc < 0)
		return rc;
	for (i = 0; !rc && i < scan.n; i++)
		rc = take_image(c, &scan.v[i], &images);
	n = snprintf(c->detail, sizeof(c->detail), "%zu in %s", images.n,
		     c->in.pool);
	if (images.unlocked)
		snprintf(c->detail + n, sizeof(c->detail) - n,
			 ", %zu of them without exclusive-lock, such as %s: migrate those with `xlrbd migrate` only, or see `rbd feature enable`",
			 images.unlocked, images.first);
	xlrbd__scan_dispose(&scan);
	return rc;
}

static int check_fence(struct checkup *c)
{
	return xlrbd__ceph_fence(c->ctx, c->ceph, NOBODY, FENCE_S);
}

static const struct {
	const char *what;
	int (*check)(struct checkup *c);
} of_host[] = {
	{ "kernel: rbd", check_module },
	{ "kernel: xen-blkback", check_backend },
	{ "xenstore", check_xenstore },
}, of_cluster[] = {
	{ "cluster", check_cluster },
	{ "time for a disk", check_time },
	{ "monitors", check_monitors },
	{ "keyring", check_keyring },
	{ "space", check_full },
	{ "images", check_images },
	{ "caps: locks; clock", check_locking },
	{ "caps: fences, for takeover", check_fence },
};

int xlrbd_check(struct xlrbd_ctx *ctx, const struct xlrbd_spec *pool,
		xlrbd_check_fn *fn, void *data)
{
	struct checkup c = { .ctx = ctx, .pool = pool, .fn = fn, .data = data };
	int64_t timeout_s = timeout_of(pool);
	struct xlrbd__deadline deadline;
	size_t i;
	int rc;

	xlrbd__begin(ctx);
	for (i = 0; i < XLRBD__ARRAY_SIZE(of_host); i++)
		report(&c, of_host[i].what, of_host[i].check(&c));
	xlrbd__deadline_set(&deadline, timeout_s * 1000);
	rc = xlrbd__ceph_connect(ctx, pool, &deadline, &c.ceph);
	c.connect_ms = timeout_s * 1000 - xlrbd__deadline_left(&deadline);
	if (rc < 0)
		report(&c, of_cluster[0].what, rc);
	/* Without the first of them the others mean nothing. */
	for (i = 0; !rc && i < XLRBD__ARRAY_SIZE(of_cluster); i++) {
		int r = of_cluster[i].check(&c);

		report(&c, of_cluster[i].what, r);
		if (!i)
			rc = r;
	}
	xlrbd__ceph_close(ctx, c.ceph);
	return c.trouble;
}
