// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What this host has left behind, in this life or an earlier one: records of
 * vbds that are gone, and entries in the locks of images.
 *
 * Only what is certainly this host's, and certainly unused, is touched.  Dom0s
 * that were installed from one image share a machine-id, and names are given
 * twice; so an entry of an earlier boot is ours only if its address is too, and
 * no client lives there.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "internal.h"

static bool is_same_image(const struct xlrbd__image *a,
			  const struct xlrbd__image *b)
{
	return !strcmp(a->fsid, b->fsid) && a->pool_id == b->pool_id &&
	       !strcmp(a->id, b->id);
}

/* 1 if something was cleaned up, 0 or a failure. */
static int gc_record(struct xlrbd_ctx *ctx, const struct xlrbd__vbd *vbd,
		     const struct xlrbd__image *image)
{
	struct xlrbd__record record;
	bool recorded, wanted;
	int rc;

	recorded = xlrbd__run_read(ctx, vbd, &record) == 0;
	wanted = !image || (recorded && is_same_image(&record.image, image));
	if (recorded)
		xlrbd__record_dispose(&record);
	if (!wanted)
		return 0;
	rc = xlrbd__vbd_undo(ctx, vbd->path);
	if (rc < 0)
		return rc;
	if (recorded)
		xlrbd__log(ctx, LOG_NOTICE,
			   "cleaned up %s: the disk was gone", vbd->path);
	return recorded;
}

int xlrbd__gc_records(struct xlrbd_ctx *ctx, struct xlrbd__store *store,
		      const struct xlrbd__image *image)
{
	struct xlrbd__vbd *vbds;
	int rc, r, done = 0;
	size_t i, n;

	rc = xlrbd__run_list(ctx, &vbds, &n);
	for (i = 0; i < n; i++) {
		if (xlrbd__store_vbd_exists(store, &vbds[i]))
			continue;
		r = gc_record(ctx, &vbds[i], image);
		if (r > 0)
			done++;
		else if (!rc)
			rc = r;
	}
	free(vbds);
	return rc ? rc : done;
}

/* All that telling a leftover takes. */
struct sweep {
	struct xlrbd_ctx *ctx;
	struct xlrbd__store *store;
	struct xlrbd__ceph *ceph;
	struct xlrbd__host host;
	int done;
};

/* An entry of this boot, whose vbd nobody knows any more. */
static bool is_orphan(struct sweep *sweep, const struct xlrbd__cookie *cookie)
{
	struct xlrbd__record record;
	struct xlrbd__vbd vbd;
	char path[64];
	bool known;

	snprintf(path, sizeof(path), "backend/vbd/%u/%u", cookie->domid,
		 cookie->devid);
	if (xlrbd__vbd_parse_path(sweep->ctx, path, &vbd) < 0)
		return false;
	/* A record has the entry's fate in its hands, and a live add has one. */
	known = xlrbd__store_vbd_exists(sweep->store, &vbd) ||
		xlrbd__run_read(sweep->ctx, &vbd, &record) != -ENOENT;
	xlrbd__vbd_dispose(&vbd);
	return !known && !xlrbd__krbd_has_client(cookie->addr);
}

/* 1, 0 or a negative errno value. */
static int is_leftover(struct sweep *sweep, const struct xlrbd__image *image,
		       const char *what, const struct xlrbd__cookie *cookie)
{
	int watched;

	if (strcmp(cookie->host.name, sweep->host.name) != 0 ||
	    strcmp(cookie->host.machine_id, sweep->host.machine_id) != 0)
		return 0;
	if (!strcmp(cookie->host.boot_id, sweep->host.boot_id))
		return is_orphan(sweep, cookie);
	/* Pending ones have no address, and anybody may break them. */
	if (!cookie->held)
		return 0;
	if (!xlrbd__host_has_address(cookie->addr))
		return 0;
	watched = xlrbd__ceph_is_watched(sweep->ctx, sweep->ceph, image, what,
					 cookie->addr);
	return watched < 0 ? watched : !watched;
}

static int sweep_lock(struct sweep *sweep, const struct xlrbd__image *image,
		      const char *what, const char *name)
{
	struct xlrbd__lockers lockers;
	struct xlrbd__cookie cookie;
	int rc = 0;
	size_t i;
	int r;

	r = xlrbd__ceph_lock_list(sweep->ceph, image, name, &lockers);
	if (r < 0)
		return xlrbd__ceph_fail(sweep->ctx, sweep->ceph, r,
					"list the lock entries of", what);
	for (i = 0; !rc && i < lockers.n; i++) {
		if (!xlrbd__cookie_parse(lockers.v[i].cookie, &cookie))
			continue;
		r = is_leftover(sweep, image, what, &cookie);
		if (r > 0) {
			r = xlrbd__ceph_lock_break(sweep->ceph, image, name,
						   lockers.v[i].client,
						   lockers.v[i].cookie);
			xlrbd__log(sweep->ctx, LOG_NOTICE,
				   "%s: cleaned up the entry of domain %s (%s), which this host has no more",
				   what, cookie.domain, cookie.uuid);
			sweep->done++;
		}
		if (r < 0 && r != -ENOENT)
			rc = xlrbd__ceph_fail(sweep->ctx, sweep->ceph, r,
					      "clean up an entry of", what);
	}
	xlrbd__lockers_dispose(&lockers);
	return rc;
}

static int sweep_image(struct sweep *sweep, const struct xlrbd__image *image,
		       const char *what)
{
	size_t i;
	int rc = 0;

	for (i = 0; !rc && i < XLRBD__ARRAY_SIZE(xlrbd__lock_names); i++)
		rc = sweep_lock(sweep, image, what, xlrbd__lock_names[i]);
	return rc;
}

int xlrbd__gc_entries(struct xlrbd_ctx *ctx, struct xlrbd__store *store,
		      struct xlrbd__ceph *ceph,
		      const struct xlrbd__image *image, const char *what)
{
	struct sweep sweep = { .ctx = ctx, .store = store, .ceph = ceph };
	int rc;

	rc = xlrbd__host_read(ctx, &sweep.host);
	if (!rc)
		rc = sweep_image(&sweep, image, what);
	return rc < 0 ? rc : sweep.done;
}

static int sweep_one(void *data, const struct xlrbd__image *image)
{
	struct xlrbd_spec spec = {
		.pool = (char *)image->pool,
		.ns = image->ns[0] ? (char *)image->ns : NULL,
		.image = (char *)image->name,
	};
	struct sweep *sweep = data;
	char *what = xlrbd__spec_name(&spec);
	int rc;

	if (!what)
		return xlrbd__fail_nomem(sweep->ctx);
	rc = sweep_image(sweep, image, what);
	free(what);
	return rc;
}

static int sweep_pool(struct sweep *sweep, const struct xlrbd_spec *spec)
{
	struct xlrbd__deadline deadline;
	int rc;

	xlrbd__deadline_set(&deadline, (spec->timeout_s ? spec->timeout_s :
				       XLRBD_TIMEOUT_DEFAULT) * 1000);
	rc = xlrbd__ceph_connect(sweep->ctx, spec, &deadline, &sweep->ceph);
	if (!rc)
		rc = xlrbd__ceph_each_image(sweep->ctx, sweep->ceph, spec,
					    sweep_one, sweep);
	xlrbd__ceph_close(sweep->ctx, sweep->ceph);
	return rc;
}

int xlrbd_gc(struct xlrbd_ctx *ctx, const struct xlrbd_spec *pool)
{
	struct sweep sweep = { .ctx = ctx };
	int records, rc;

	xlrbd__begin(ctx);
	rc = xlrbd__store_open(ctx, &sweep.store);
	if (rc < 0)
		return rc;
	records = xlrbd__gc_records(ctx, sweep.store, NULL);
	rc = xlrbd__host_read(ctx, &sweep.host);
	if (!rc)
		rc = sweep_pool(&sweep, pool);
	xlrbd__store_close(sweep.store);
	if (records < 0)
		return records;
	return rc < 0 ? rc : records + sweep.done;
}
