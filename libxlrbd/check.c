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

struct checkup {
	struct xlrbd_ctx *ctx;
	const struct xlrbd_spec *pool;
	xlrbd_check_fn *fn;
	void *data;
	struct xlrbd__ceph *ceph;
	struct xlrbd__image in;		/* the pool, once it is open */
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
	if (!r || r == -EBUSY)
		r = xlrbd__ceph_note_remove(c->ceph, SCRATCH);
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

static int check_images(struct checkup *c)
{
	struct xlrbd__image *images = NULL;
	size_t n = 0;
	int rc;

	rc = xlrbd__ceph_list_images(c->ctx, c->ceph, c->pool, c->in.pool,
				     &images, &n);
	free(images);
	snprintf(c->detail, sizeof(c->detail), "%zu in %s", n, c->in.pool);
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
	{ "keyring", check_keyring },
	{ "space", check_full },
	{ "caps: images", check_images },
	{ "caps: locks; clock", check_locking },
	{ "caps: fences, for takeover", check_fence },
};

int xlrbd_check(struct xlrbd_ctx *ctx, const struct xlrbd_spec *pool,
		xlrbd_check_fn *fn, void *data)
{
	struct checkup c = { .ctx = ctx, .pool = pool, .fn = fn, .data = data };
	struct xlrbd__deadline deadline;
	size_t i;
	int rc;

	xlrbd__begin(ctx);
	for (i = 0; i < XLRBD__ARRAY_SIZE(of_host); i++)
		report(&c, of_host[i].what, of_host[i].check(&c));
	xlrbd__deadline_set(&deadline, (pool->timeout_s ? pool->timeout_s :
				       XLRBD_TIMEOUT_DEFAULT) * 1000);
	rc = xlrbd__ceph_connect(ctx, pool, &deadline, &c.ceph);
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
